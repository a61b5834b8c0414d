"""Maps as heatmaps: each reduction against its definition, element by element."""

import pytest
import torch
from torch import nn

from cv_attention.maps import RecordedMap, query_heatmaps, rollout, to_heatmap

torch.manual_seed(0)
PAIRWISE = torch.rand(2, 3, 20, 4, 5).flatten(3).softmax(-1).unflatten(-1, (4, 5))


def pairwise(values=PAIRWISE):
    return RecordedMap(values, "pairwise")


def test_spatial_and_joint():
    spatial = torch.randn(2, 1, 4, 5) * 9
    torch.testing.assert_close(to_heatmap(RecordedMap(spatial, "spatial")), spatial)  # raw: signed, above 1
    joint = torch.randn(2, 7, 4, 5)
    torch.testing.assert_close(to_heatmap(RecordedMap(joint, "joint"))[:, 0], joint.sum(1) / 7)


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({}, lambda b, i, j: sum(PAIRWISE[b, h, q, i, j] for h in range(3) for q in range(20)) / 60),
        ({"reduce": 6}, lambda b, i, j: PAIRWISE[b, :, 6, i, j].mean()),
        ({"reduce": -1}, lambda b, i, j: PAIRWISE[b, :, 19, i, j].mean()),
        ({"reduce": (1, 2)}, lambda b, i, j: PAIRWISE[b, :, 1 * 5 + 2, i, j].mean()),
        ({"reduce": (-1, -1)}, lambda b, i, j: PAIRWISE[b, :, 19, i, j].mean()),
        ({"head": 2, "reduce": 0}, lambda b, i, j: PAIRWISE[b, 2, 0, i, j]),
        ({"head": -3}, lambda b, i, j: PAIRWISE[b, 0, :, i, j].mean()),
    ],
)
def test_pairwise(options, value):
    heat = to_heatmap(pairwise(), **options)
    assert heat.shape == (2, 1, 4, 5)
    for b, i, j in [(0, 0, 0), (1, 3, 4), (1, 2, 0)]:
        torch.testing.assert_close(heat[b, 0, i, j], value(b, i, j))


def test_one_heatmap_for_each_query():
    torch.testing.assert_close(query_heatmaps(pairwise()), PAIRWISE.mean(1))
    torch.testing.assert_close(query_heatmaps(pairwise(), head=-1), PAIRWISE[:, 2])
    expected = nn.Upsample((8, 6), mode="bilinear")(PAIRWISE.mean(1))
    torch.testing.assert_close(query_heatmaps(pairwise(), (8, 6)), expected)
    with pytest.raises(ValueError, match=r"head must be in 0\.\.2, got head=3"):
        query_heatmaps(pairwise(), head=3)


@pytest.mark.parametrize(("size", "shape"), [(9, (9, 9)), ((3, 8), (3, 8)), (None, (4, 5))])
def test_size(size, shape):
    heat = to_heatmap(pairwise(), size)
    assert heat.shape == (2, 1, *shape)
    expected = nn.Upsample(shape, mode="bilinear")(PAIRWISE.mean((1, 2))[:, None])
    torch.testing.assert_close(heat, expected)


def test_any_precision_gives_float32_and_gradients_flow():
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        assert to_heatmap(pairwise(PAIRWISE.to(dtype)), 7).dtype == torch.float32
    values = PAIRWISE.clone().requires_grad_()
    to_heatmap(pairwise(values), 7).sum().backward()
    assert values.grad is not None
    assert values.grad.abs().sum() > 0
    with torch.inference_mode():
        values = PAIRWISE + 0
    assert to_heatmap(pairwise(values), 7).shape == (2, 1, 7, 7)


@pytest.mark.parametrize(
    ("map", "options", "message"),
    [
        (RecordedMap(torch.rand(2, 8, 1, 1), "channel"), {}, "channel.*bars"),
        (RecordedMap(torch.rand(2, 3, 4, 8), "alignment"), {}, "alignment.*bars"),
        (pairwise(), {"reduce": 20}, "0..19, got reduce=20"),
        (pairwise(), {"reduce": (4, 0)}, r"\(4, 0\) lies outside the 4x5"),
        (pairwise(PAIRWISE[:, :, :3]), {"reduce": (0, 0)}, "got 3 queries on 4x5"),
        (pairwise(), {"reduce": "sum"}, "'sum'"),
        (pairwise(), {"head": 3}, "0..2, got head=3"),
    ],
)
def test_rejects(map, options, message):
    with pytest.raises(ValueError, match=message):
        to_heatmap(map, **options)


@pytest.mark.parametrize("heads", ["mean", "max", "min"])
def test_rollout_matches_a_loop_over_positions(heads):
    maps = [torch.rand(2, 3, 6, 2, 3).flatten(3).softmax(-1).unflatten(-1, (2, 3)) for _ in range(3)]
    result = rollout([pairwise(m) for m in maps], heads=heads)
    fuse = {"mean": lambda v: sum(v) / len(v), "max": max, "min": min}[heads]
    for b in range(2):
        rolled = [[float(i == j) for j in range(6)] for i in range(6)]
        for m in maps:
            layer = m.flatten(3)[b].tolist()
            a = [[(fuse([h[i][j] for h in layer]) + (i == j)) / 2 for j in range(6)] for i in range(6)]
            a = [[v / sum(row) for v in row] for row in a]
            rolled = [[sum(a[i][k] * rolled[k][j] for k in range(6)) for j in range(6)] for i in range(6)]
        torch.testing.assert_close(result.values[b, 0].flatten(1), torch.tensor(rolled), rtol=1e-5, atol=1e-6)
    assert result.kind == "pairwise"
    torch.testing.assert_close(result.values.sum((-2, -1)), torch.ones(2, 1, 6))
    assert to_heatmap(result, 8).shape == (2, 1, 8, 8)


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ([], "got none"),
        ([RecordedMap(torch.rand(2, 1, 4, 5), "spatial")], "'spatial'.*map 0"),
        ([pairwise(), pairwise(PAIRWISE[:, :, :3])], "map 1"),
        ([pairwise(), pairwise(torch.rand(2, 3, 6, 2, 3))], r"\(4, 5\) and \(2, 3\)"),
    ],
)
def test_rollout_rejects(maps, message):
    with pytest.raises(ValueError, match=message):
        rollout(maps)
    with pytest.raises(ValueError, match="mean, max, min, got 'sum'"):
        rollout([pairwise()], heads="sum")
