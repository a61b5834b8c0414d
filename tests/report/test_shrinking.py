import numpy as np
import pytest

from cv_attention.report.shards import as_json, encode
from cv_attention.report.shrinking import MOST_SIDE, shrink


@pytest.mark.parametrize(("side", "stored"), [(7, 7), (40, 40), (56, 28), (64, 32), (112, 28), (224, 32)])
def test_sides_and_bytes(side: int, stored: int) -> None:
    maps = np.random.default_rng(0).random((64, side, side)).astype(np.float16)
    small = shrink(maps)
    assert small.shape == (64, stored, stored)
    assert len(as_json(encode(small))) / 64 <= 3072


def test_values_are_means_of_blocks() -> None:
    maps = np.random.default_rng(0).random((2, 56, 112)).astype(np.float32)
    small = shrink(maps)
    assert small.shape == (2, 14, 28)
    assert small[1, 3, 5] == pytest.approx(maps[1, 12:16, 20:24].mean(), rel=1e-5)


def test_sides_that_no_block_divides_keep_the_mean() -> None:
    maps = np.random.default_rng(0).random((2, 53, 61)).astype(np.float32)
    small = shrink(maps)
    assert max(small.shape[1:]) <= MOST_SIDE
    assert small.mean((1, 2)) == pytest.approx(maps.mean((1, 2)), rel=1e-2)


def test_gates_stay() -> None:
    gates = np.ones((3, 512), np.float16)
    assert shrink(gates) is gates
