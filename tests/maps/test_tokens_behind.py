"""Class and register tokens behind the patches: the map is that of the same model with the tokens before them."""

import pytest
import torch
from torch import nn

from cv_attention import record, to_heatmap

X = torch.randn(2, 3, 56, 98, generator=torch.Generator().manual_seed(1))


class Tokens(nn.Module):
    """4 x 7 patches with `before` and `after` other tokens around them; 33 tokens would also be 4 x 8 and one."""

    def __init__(self, before, after, asking="all"):
        super().__init__()
        self.asking = asking
        torch.manual_seed(0)
        self.embed, self.attend = nn.Conv2d(3, 16, 14, 14), nn.MultiheadAttention(16, 2, batch_first=True)
        self.extra, self.before, self.after = nn.Parameter(torch.randn(1, before + after, 16)), before, after

    def forward(self, x):
        extra = self.extra.expand(len(x), -1, -1)
        patches = 3 * self.embed(x).flatten(2).mT
        x = torch.cat([extra[:, : self.before], patches, extra[:, self.before :]], 1)
        asked = {"all": x, "patches": patches, "extra": extra, "one": extra[:, :1]}[self.asking]
        return self.attend(asked, x, x, need_weights=False)[0]


def recorded(before, after, asking="all"):
    model = Tokens(before, after, asking).eval()
    with torch.no_grad(), record(model) as maps:
        model(X)
    return maps["attend"]


@pytest.mark.parametrize("after", [1, 5])
def test_tokens_behind_the_grid(after):
    first, behind = recorded(after, 0), recorded(0, after)
    assert behind.prefix == first.prefix == after
    torch.testing.assert_close(behind.values, first.values, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(to_heatmap(behind, reduce="class"), to_heatmap(first, reduce="class"))


def test_tokens_on_both_sides():
    both, first = recorded(2, 3), recorded(5, 0)
    torch.testing.assert_close(both.values.sum((3, 4)).sort(-1).values, first.values.sum((3, 4)).sort(-1).values)
    torch.testing.assert_close(both.values[:, :, 5:], first.values[:, :, 5:], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("asking", ["patches", "extra", "one"])
@pytest.mark.parametrize("after", [1, 5])
def test_fewer_queries_than_tokens_behind_the_grid(after, asking):
    """Queries stay in their order; only the tokens that are attended to are moved."""
    first, behind = recorded(after, 0, asking), recorded(0, after, asking)
    assert behind.kind == first.kind
    assert behind.prefix == first.prefix == after
    assert behind.values.shape == (2, 2, {"patches": 28, "extra": after, "one": 1}[asking], 4, 7)
    torch.testing.assert_close(behind.values, first.values, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(to_heatmap(behind), to_heatmap(first))
