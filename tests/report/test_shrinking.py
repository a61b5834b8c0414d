import numpy as np
import pytest

from cv_attention.report.read.shrinking import MOST_SIDE, shrink
from cv_attention.report.write.shards import as_json, encode


@pytest.mark.parametrize(("side", "stored"), [(7, 7), (56, 56), (64, 64), (96, 48), (112, 56), (224, 56)])
def test_sides_and_bytes(side: int, stored: int) -> None:
    maps = np.random.default_rng(0).random((64, side, side)).astype(np.float16)
    small = shrink(maps)
    assert small.shape == (64, stored, stored)
    steps = stored * stored * (2 if stored <= 32 else 1)
    assert len(as_json(encode(small))) / 64 <= 4 / 3 * steps + 64  # noise, which nothing compresses


def test_values_are_means_of_blocks() -> None:
    maps = np.random.default_rng(0).random((2, 56, 112)).astype(np.float32)
    small = shrink(maps)
    assert small.shape == (2, 28, 56)
    assert small[1, 3, 5] == pytest.approx(maps[1, 6:8, 10:12].mean(), rel=1e-5)


def test_sides_that_no_block_divides_keep_the_mean() -> None:
    maps = np.random.default_rng(0).random((2, 93, 121)).astype(np.float32)
    small = shrink(maps)
    assert max(small.shape[1:]) <= MOST_SIDE
    assert small.mean((1, 2)) == pytest.approx(maps.mean((1, 2)), rel=1e-2)


@pytest.mark.parametrize("size", [(93, 121), (121, 93), (65, 197), (197, 65), (224, 112), (30, 90)])
def test_rows_stay_rows_and_columns_columns(size: tuple[int, int]) -> None:
    """Of a map whose values are the places of its rows, or of its columns, on a scale of 0 to 1."""
    height, width = size
    least = -(-max(size) // MOST_SIDE)
    along = [(np.arange(side) + 0.5) / side for side in size]
    maps = np.stack([np.tile(along[0][:, None], (1, width)), np.tile(along[1], (height, 1))])
    small = shrink(maps)
    assert all(side / (2 * least) < now <= -(-side // least) for side, now in zip(size, small.shape[1:], strict=True))
    for axis, values in enumerate(small):
        side = values.shape[axis]
        expected = np.expand_dims((np.arange(side) + 0.5) / side, 1 - axis)
        np.testing.assert_allclose(values, np.broadcast_to(expected, values.shape), atol=0.5 / side)


def test_gates_stay() -> None:
    gates = np.ones((3, 512), np.float16)
    assert shrink(gates) is gates
