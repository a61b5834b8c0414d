"""Writes maps and data as JavaScript files: a page opened from ``file://`` may load scripts, but fetch nothing."""

import base64
import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

# Maps of up to 32 x 32 values keep float16; larger ones are stored in 256 steps between their extremes, which
# is finer than a screen can show and keeps the folder small.
_MOST_FLOAT16 = 1024
# So are maps whose largest value is below this, such as gradients, where float16 is coarse.
_LEAST_FLOAT16 = 2.0**-10


def encode(values: np.ndarray, *, most_float16: int = _MOST_FLOAT16) -> dict[str, Any]:
    """Encodes one column of maps, or of channel gates, for some probes.

    Args:
        values: (N, h, w) or (N, C), any number type; NaN and infinities are kept.
        most_float16: Largest number of values of a map for which float16 is kept.

    Returns:
        ``shape`` of one map; the finite extremes ``lo`` and ``hi`` of every map, None if it has none;
        ``type``, ``f16`` or ``u8`` for round(255 * (value - lo) / (hi - lo)); ``data``, base64 of the
        zlib-compressed bytes.
    """
    flat = values.reshape(len(values), -1).astype(np.float32)
    finite = np.isfinite(flat)
    known: np.ndarray = finite.sum(axis=1) > 0
    lo = np.where(known, np.min(flat, axis=1, initial=np.inf, where=finite), 0.0)
    hi = np.where(known, np.max(flat, axis=1, initial=-np.inf, where=finite), 0.0)
    most = np.maximum(np.abs(lo), np.abs(hi))
    fits = most.max() <= np.finfo(np.float16).max and (most[most > 0] >= _LEAST_FLOAT16).all()
    if not finite.all() or (fits and flat.shape[1] <= most_float16):
        with np.errstate(over="ignore"):
            kind, stored = "f16", flat.astype("<f2")
    else:
        span = np.where(hi > lo, hi - lo, 1.0)
        kind, stored = "u8", np.rint(255 * (flat - lo[:, None]) / span[:, None]).astype(np.uint8)
    return {
        "shape": list(values.shape[1:]),
        "lo": [float(f"{v:.7g}") if k else None for v, k in zip(lo, known, strict=True)],
        "hi": [float(f"{v:.7g}") if k else None for v, k in zip(hi, known, strict=True)],
        "type": kind,
        "data": base64.b64encode(zlib.compress(stored.tobytes(), 6)).decode("ascii"),
    }


def as_json(value: Any) -> str:
    r"""Dumps JSON in ASCII that is safe inside a script: ``<``, ``>``, ``&`` become ``\u003c`` and so on."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def write_shard(root: Path, key: str, payload: Any) -> str:
    """Writes ``data/<key>.<hash>.js``, a script that passes `payload` to the page; returns the hash."""
    name = write_hashed(root, f"data/{key}.js", f"cvAttentionShard({as_json(key)},{as_json(payload)});\n")
    return name.rsplit(".", 2)[1]


def write_hashed(root: Path, name: str, content: str | bytes) -> str:
    """Writes ``name.ext`` as ``name.<hash of its content>.ext`` below `root` and returns that relative name.

    A changed file has a new name, so that browsers do not show an old one from their cache.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    stem, extension = name.rsplit(".", 1)
    hashed = f"{stem}.{hashlib.sha256(data).hexdigest()[:10]}.{extension}"
    path = root / hashed
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return hashed
