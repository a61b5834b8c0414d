"""Numbers from maps, against sums written out."""

import math

import pytest
import torch

from cv_attention.maps import RecordedMap, attention_distance, attention_entropy, gate_statistics
from cv_attention.maps.adapters.layouts import windowed
from cv_attention.maps.recorded import over_tokens

torch.manual_seed(0)


def softmaxed(*shape):
    return torch.randn(shape).softmax(-1)


@pytest.mark.parametrize("prefix", [0, 2])
def test_distance_by_a_loop(prefix):
    attention = softmaxed(2, 3, 6 + prefix, 6 + prefix)
    found = attention_distance(over_tokens(attention, (2, 3), prefix), (16, 8))
    for b in range(2):
        for h in range(3):
            mean = 0.0
            for q in range(6):
                row = attention[b, h, prefix + q, prefix:] / attention[b, h, prefix + q, prefix:].sum()
                for k in range(6):
                    pixels = math.hypot(16 * (q // 3 - k // 3), 8 * (q % 3 - k % 3))
                    mean += float(row[k]) * pixels / 6
            assert found[b, h].item() == pytest.approx(mean, rel=1e-5)


def test_distance_of_extremes():
    here = torch.eye(16)[None, None]
    assert attention_distance(over_tokens(here, (4, 4)), 16).item() == 0
    corner = torch.zeros(1, 1, 4, 4)
    corner[..., 0] = 1  # everybody looks at the first of 2x2
    expected = 16 * (0 + 1 + 1 + 2**0.5) / 4
    assert attention_distance(over_tokens(corner, (2, 2)), 16).item() == pytest.approx(expected)


@pytest.mark.parametrize(("grid", "shift"), [((4, 4), 0), ((4, 4), 1), ((3, 5), 1)])
def test_distance_within_windows_equals_the_dense_map(grid, shift):
    windows = -(-grid[0] // 2) * -(-grid[1] // 2)
    found = windowed(softmaxed(2 * windows, 3, 4, 4), grid, (2, 2), (shift, shift))
    dense = attention_distance(found.dense(), 4)
    torch.testing.assert_close(attention_distance(found, 4), dense)


@pytest.mark.parametrize("prefix", [0, 1])
def test_entropy_equals_that_of_torch(prefix):
    attention = softmaxed(2, 3, 6 + prefix, 6 + prefix)
    expected = torch.distributions.Categorical(attention).entropy().mean(2)
    found = over_tokens(attention, (2, 3), prefix)
    torch.testing.assert_close(attention_entropy(found), expected)
    torch.testing.assert_close(attention_entropy(found, normalised=True), expected / math.log(6 + prefix))


def test_entropy_of_extremes():
    one = RecordedMap(torch.eye(5)[None, None], "alignment")
    everywhere = RecordedMap(torch.full((1, 1, 5, 5), 0.2), "alignment")
    assert attention_entropy(one).item() == 0  # 0 ln 0 is 0
    assert attention_entropy(everywhere, normalised=True).item() == pytest.approx(1)


def test_gates_by_hand():
    # three images of four channels: always closed, always open, either, in between
    values = torch.tensor([[0.0, 1.0, 0.0, 0.2], [0.005, 0.999, 1.0, 0.4], [0.0, 1.0, 0.0, 0.6]])
    found = gate_statistics(RecordedMap(values[..., None, None], "channel"))
    torch.testing.assert_close(found.mean, values.mean(0))
    torch.testing.assert_close(found.spread[3].item(), (0.08 / 3) ** 0.5)
    assert found.saturated == pytest.approx(9 / 12)
    assert found.dead.tolist() == [0]
    assert "1 of 4 channels dead" in repr(found)
    parts = [RecordedMap(part[..., None, None], "channel") for part in values.split(2)]
    torch.testing.assert_close(gate_statistics(parts).spread, found.spread)


def test_gates_over_positions():
    values = torch.rand(2, 3, 4, 5)
    found = gate_statistics(RecordedMap(values, "joint"))
    torch.testing.assert_close(found.mean, values.mean((0, 2, 3)))
    assert gate_statistics(RecordedMap(values[:, :1], "spatial")).mean.shape == (1,)


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (lambda: attention_distance(RecordedMap(torch.rand(2, 1, 4, 4), "spatial")), "spatial"),
        (lambda: attention_distance(RecordedMap(torch.rand(2, 1, 3, 4, 4), "pairwise")), "one query for each position"),
        (lambda: attention_entropy(RecordedMap(torch.rand(2, 4, 1, 1), "channel")), "'channel'"),
        (lambda: gate_statistics(RecordedMap(torch.rand(2, 1, 3, 4, 4), "pairwise")), "'pairwise'"),
        (lambda: gate_statistics([]), "got none"),
        (
            lambda: gate_statistics([RecordedMap(torch.rand(2, c, 1, 1), "channel") for c in (3, 4)]),
            "one number of channels",
        ),
    ],
)
def test_rejects(compute, message):
    with pytest.raises(ValueError, match=message):
        compute()
