"""The pointing game on maps whose maximum is known."""

import pytest
import torch

from cv_attention.saliency.metrics.pointing import pointing_game


def peak(row: int, column: int, size: int = 10) -> torch.Tensor:
    heat = torch.zeros(1, 1, size, size)
    heat[0, 0, row, column] = 1
    return heat


@pytest.mark.parametrize(
    ("row", "column", "tolerance", "hit"),
    [
        (3, 4, 0, True),  # inside
        (2, 3, 0, True),  # the box's first pixel
        (5, 7, 0, True),  # its last
        (6, 7, 0, False),  # one below
        (5, 8, 0, False),  # one to the right
        (6, 8, 1, True),  # within the tolerance
        (3, 1, 1, False),
        (3, 1, 1.5, True),  # the middle of column 1 is 1.5 left of the box
        (3, 1, 1.49, False),
        (0, 4, 1.5, True),  # and as much above it
        (0, 4, 1.49, False),
        (3, 9, 1.5, True),
        (3, 9, 1.49, False),
        (7, 4, 1.5, True),
        (7, 4, 1.49, False),
    ],
)
def test_the_maximum_in_the_box_is_a_hit(row, column, tolerance, hit):
    box = torch.tensor([[3.0, 2.0, 8.0, 6.0]])  # columns 3 to 7, rows 2 to 5
    assert pointing_game(peak(row, column), box, tolerance).tolist() == [hit]


def test_a_constant_map_points_at_the_middle():
    heat = torch.ones(2, 1, 9, 9)
    boxes = torch.tensor([[4.0, 4.0, 5.0, 5.0], [0.0, 0.0, 3.0, 3.0]])
    assert pointing_game(heat, boxes).tolist() == [True, False]


def test_random_points_hit_as_often_as_the_box_is_large():
    generator = torch.Generator().manual_seed(0)
    heat = torch.rand(4000, 1, 8, 8, generator=generator)
    boxes = torch.tensor([[2.0, 1.0, 6.0, 5.0]]).expand(4000, 4)
    assert pointing_game(heat, boxes).double().mean().item() == pytest.approx(16 / 64, abs=0.03)


@pytest.mark.parametrize(
    ("heat", "boxes", "words"),
    [
        (torch.zeros(1, 8, 8), torch.zeros(1, 4), "expected maps"),
        (torch.zeros(2, 1, 8, 8), torch.ones(1, 4), "expected maps"),
        (torch.zeros(2, 1, 8, 8), torch.tensor([[0.0, 0, 4, 4], [3, 3, 3, 5]]), "box 1 is empty"),
    ],
)
def test_bad_input_is_named(heat, boxes, words):
    with pytest.raises(ValueError, match=words):
        pointing_game(heat, boxes)
