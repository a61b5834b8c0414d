"""Which grid of positions a number of tokens stands for."""

import itertools

import pytest

from cv_attention.maps.grids import MOST_EXTRA, find_grid, grid_of


@pytest.mark.parametrize(
    ("tokens", "grids", "found"),
    [
        (49, [(7, 7), (14, 14)], (7, 7, 0)),
        (197, [(7, 7), (14, 14), (13, 14)], (14, 14, 1)),
        (197, [(13, 14), (14, 14)], (14, 14, 1)),  # the fewest tokens over, whichever was the latest
        (60, [(7, 7), (6, 9), (5, 12)], (5, 12, 0)),
        (54, [(9, 6), (6, 9)], (9, 6, 0)),  # the likeliest of those that leave as many
        (49 + MOST_EXTRA, [(7, 7)], (7, 7, MOST_EXTRA)),
        (49 + MOST_EXTRA + 1, [(7, 7)], None),
        (48, [(7, 7)], None),
        (1, [(1, 1)], None),
    ],
)
def test_the_grid_that_leaves_the_fewest_tokens_over(tokens, grids, found):
    assert find_grid(tokens, grids) == found
    assert find_grid(tokens, iter(grids), (1, 3, 224, 224)) == found, "a feature map counts more than the image"


@pytest.mark.parametrize("extra", [0, 1, 5, MOST_EXTRA])
@pytest.mark.parametrize(("height", "width"), [(14, 14), (16, 8), (7, 21), (12, 18), (1, 9)])
def test_without_a_feature_map_the_grid_has_the_images_aspect(height, width, extra):
    found = find_grid(height * width + extra, [], (2, 3, 32 * height, 32 * width))
    assert found is not None
    rows, columns, over = found
    assert rows * columns + over == height * width + extra
    assert over <= extra, "the largest grid"
    if over == extra:
        assert (rows, columns) == (height, width)
    assert abs(rows / columns - height / width) <= 0.5 * (1 + height / width) / columns


def test_no_other_grid_has_that_aspect():
    for tokens, aspect in itertools.product((2, 17, 23, 47), (1.0, 0.5)):
        found = grid_of(tokens, aspect)
        sides = [
            (h, w)
            for h in range(1, tokens + 1)
            for w in range(1, tokens + 1)
            if tokens - h * w in range(MOST_EXTRA + 1)
        ]
        fitting = [(h, w) for h, w in sides if abs(h - w * aspect) < 0.5 * (1 + aspect)]
        assert (found in fitting) if found else not fitting
