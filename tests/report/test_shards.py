import base64
import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest

from cv_attention.report.write.shards import as_json, encode, write_hashed


def decode(column: dict) -> np.ndarray:
    """A column as written, by its description rather than by the writer's code."""
    raw = zlib.decompress(base64.b64decode(column["data"]))
    if column["type"] == "f16":
        return np.frombuffer(raw, "<f2").astype(np.float32).reshape(-1, *column["shape"])
    steps = np.frombuffer(raw, np.uint8).reshape(-1, *column["shape"]).astype(np.float32)
    lo, hi = (np.array(column[end]).reshape(-1, *[1] * len(column["shape"])) for end in ("lo", "hi"))
    return lo + steps / 255 * (hi - lo)


@pytest.mark.parametrize("shape", [(3, 8, 8), (3, 7, 5), (2, 1, 1), (4, 64)])
def test_small_maps_come_back_bit_for_bit(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float16)
    column = encode(values)
    assert column["type"] == "f16"
    assert np.array_equal(decode(column), values)
    assert column["lo"] == pytest.approx(values.reshape(len(values), -1).min(1).astype(float), rel=1e-6)


def test_large_maps_come_back_within_half_a_step() -> None:
    values = np.random.default_rng(0).standard_normal((3, 40, 40)).astype(np.float16)
    values[2] = 0.25  # a flat map
    column = encode(values)
    assert column["type"] == "u8"
    span = np.ptp(values.astype(np.float32).reshape(3, -1), axis=1)
    error = np.abs(decode(column) - values).reshape(3, -1).max(1)
    assert (error <= span / 510 + 1e-6).all()


def test_not_finite_values_are_kept_and_no_extreme() -> None:
    values = np.array([[1.0, np.nan, 3.0], [np.inf, -np.inf, np.nan]], dtype=np.float16)
    column = encode(values)
    assert np.array_equal(decode(column), values, equal_nan=True)
    assert (column["lo"], column["hi"]) == ([1.0, None], [3.0, None])
    as_json(column)


def test_values_beyond_float16_do_not_overflow() -> None:
    values = np.array([[0.0, 1e6]], dtype=np.float32)
    assert decode(encode(values))[0, 1] == pytest.approx(1e6)


def test_tiny_gradients_keep_their_differences() -> None:
    values = np.random.default_rng(0).standard_normal((2, 8, 8)).astype(np.float32) * 1e-9
    values[1] = 0
    assert np.abs(decode(encode(values)) - values).max() <= np.ptp(values) / 500


def test_json_cannot_end_a_script_and_reads_back() -> None:
    value = {"</script><!--": "<img src=x onerror=alert(1)>&\u2028\u2029 é"}
    text = as_json(value)
    assert not re.search(r"[<>&\u2028\u2029]", text)
    assert json.loads(text) == value


def test_hashed_names_follow_the_content(tmp_path: Path) -> None:
    first, same, other = (write_hashed(tmp_path, "data/a.js", text) for text in ("x", "x", "y"))
    assert first == same != other
    assert (tmp_path / first).read_text() == "x"
