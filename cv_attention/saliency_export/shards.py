"""Writes the maps of a shard as one file, in float16 with a scale for each map."""

import io

import numpy as np


def to_half(maps: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Stores maps (B, ...) in half precision: values times the map's scale are the raw ones.

    Each scale is a power of two that brings the largest magnitude into [0.5, 1], since float16 overflows above 65504
    and loses precision below 6e-5, where gradients often are. Non-finite values stay as they are.

    Returns:
        float16 (B, ...), and the scales.
    """
    size = np.abs(np.where(np.isfinite(maps), maps, 0)).reshape(len(maps), -1).max(axis=1)
    exponents = np.where(size > 0, np.frexp(size)[1], 0)
    shape = (-1, *[1] * (maps.ndim - 1))
    stored = np.ldexp(maps, -exponents.reshape(shape)).astype(np.float16)
    return stored, np.ldexp(1.0, exponents).tolist()


def flags_of(values: np.ndarray) -> list[str]:
    """Returns flags of a raw map that warn against trusting its picture."""
    if not np.isfinite(values).all():
        return ["not_finite"]
    low, high = values.min(), values.max()
    flags = {"all_zero": low == high == 0, "all_negative": high < 0, "constant": low == high != 0}
    return [name for name, holds in flags.items() if holds]


def encode_maps(columns: dict[str, np.ndarray], kind: str) -> bytes:
    """Encodes a shard's arrays as ``npz`` or ``safetensors``; the same arrays give the same bytes."""
    if kind == "safetensors":
        from safetensors.numpy import save

        return save({key: np.ascontiguousarray(values) for key, values in columns.items()})
    buffer = io.BytesIO()
    np.savez(buffer, **columns)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()
