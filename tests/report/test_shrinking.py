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


def test_gates_stay() -> None:
    gates = np.ones((3, 512), np.float16)
    assert shrink(gates) is gates
