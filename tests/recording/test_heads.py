"""Attention that is too large to be kept whole: neighbours are averaged, and shares of attention still add up."""

import pytest
import torch
from torch import Tensor

from cv_attention.maps import RecordedMap, Windows
from cv_attention.recording.snapshots import heads


def softmaxed(*shape: int) -> Tensor:
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return logits.flatten(3).softmax(-1).view(shape)


def test_small_attention_is_kept_as_it_is():
    values = softmaxed(2, 3, 16, 4, 4)
    assert torch.equal(heads._limited(values), values)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (6, 10)])
def test_queries_on_the_grid_are_averaged_with_their_positions(monkeypatch, height, width):
    monkeypatch.setattr(heads, "MOST_VALUES", (height // 2 * (width // 2)) ** 2)
    values = softmaxed(2, 3, height * width, height, width)
    found = heads._limited(values)
    assert found.shape == (2, 1, height * width // 4, height // 2, width // 2)
    mean = values.mean(1)
    grid = mean.view(2, height, width, height, width)
    for query, key in (((0, 0), (0, 0)), ((1, 2), (2, 1)), ((2, 1), (0, 2))):
        block = grid[:, 2 * query[0] : 2 * query[0] + 2, 2 * query[1] : 2 * query[1] + 2,
                     2 * key[0] : 2 * key[0] + 2, 2 * key[1] : 2 * key[1] + 2]  # fmt: skip
        expected = block.sum((3, 4)).mean((1, 2))  # four positions' shares add up, four queries are averaged
        torch.testing.assert_close(found[:, 0, query[0] * (width // 2) + query[1], key[0], key[1]], expected)
    torch.testing.assert_close(found.sum((3, 4)), torch.ones(2, 1, height * width // 4))


def test_queries_of_their_own_stay_apart(monkeypatch):
    monkeypatch.setattr(heads, "MOST_VALUES", 5 * 16)
    values = softmaxed(2, 3, 5, 8, 8)
    found = heads._limited(values)
    assert found.shape == (2, 1, 5, 4, 4)
    torch.testing.assert_close(found[:, 0], values.mean(1).unfold(2, 2, 2).unfold(3, 2, 2).sum((4, 5)))


def test_what_stays_too_large_is_left_out(monkeypatch):
    monkeypatch.setattr(heads, "MOST_VALUES", 3)
    assert heads._limited(softmaxed(1, 2, 5, 1, 7)).numel() == 0


def test_small_windows_are_put_onto_the_grid(monkeypatch):
    """Where each position looks is kept, too, unless the whole grid for every query is too large."""
    keys = torch.tensor([[0, 1], [0, 1], [2, 3], [2, -1]])
    values = softmaxed(3, 2, 4, 1, 2)
    windowed = RecordedMap(values, "pairwise", windows=Windows(keys, (2, 2)))
    found = heads.head_maps({"map": windowed})["map"]
    torch.testing.assert_close(found.pairwise, windowed.dense().values)
    monkeypatch.setattr(heads, "_MOST_DENSE", 2 * 4 * 4 - 1)
    assert heads.head_maps({"map": windowed})["map"].pairwise.numel() == 0
