"""The pointing game on maps whose maximum is known."""

import pytest
import torch

from cv_attention.report.write.measures import measure
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


def test_the_first_of_equal_maxima_counts():
    """As in TorchRay's benchmark, which takes the argmax of the flattened map."""
    heat = torch.zeros(3, 1, 9, 9)
    heat[1, 0, 2, 7] = heat[1, 0, 6, 1] = 1.0
    heat[2, 0, 4, 3] = heat[2, 0, 4, 5] = 1.0
    first = [[0.0, 0.0, 1.0, 1.0], [7.0, 2.0, 8.0, 3.0], [3.0, 4.0, 4.0, 5.0]]
    second_or_middle = [[4.0, 4.0, 5.0, 5.0], [1.0, 6.0, 2.0, 7.0], [4.0, 4.0, 6.0, 5.0]]
    assert pointing_game(heat, torch.tensor(first)).all()
    assert not pointing_game(heat, torch.tensor(second_or_middle)).any()


def test_the_report_has_the_same_rule():
    """On maps with many equal maxima, with boxes of whole cells."""
    generator = torch.Generator().manual_seed(1)
    heat = torch.randint(3, (200, 1, 4, 5), generator=generator).float()
    size = torch.tensor([5, 4])
    low = torch.rand(200, 2, generator=generator).mul(size).floor()
    high = low + 1 + torch.rand(200, 2, generator=generator).mul(size - low).floor()
    boxes = torch.cat([low, high.minimum(size)], 1)
    shares = (boxes / size.repeat(2)).tolist()
    found = measure(heat[:, 0].numpy(), None, shares)["peak in box"]
    assert found == pointing_game(heat, boxes).float().tolist()
    assert 20 < sum(found) < 180


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
