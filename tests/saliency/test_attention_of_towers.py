"""Rollout and gradient attention of models with more than the image's patches: texts, tokens behind, pyramids."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cv_attention import saliency as s

X = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def attend(x):
    return F.scaled_dot_product_attention(x[:, None] * 2, x[:, None], x[:, None])[:, 0]


class Towers(nn.Module):
    """An image tower of 8 x 8 patches, and optionally a text tower of as many words."""

    def __init__(self, text, behind=False):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.norm, self.token = (
            nn.Conv2d(3, 16, 8, 8),
            nn.LayerNorm(16),
            nn.Parameter(torch.randn(1, 1, 16)),
        )
        self.words, self.after = nn.Parameter(torch.randn(1, 64 + 1, 16)), nn.LayerNorm(16)
        self.text, self.behind, self.fc = text, behind, nn.Linear(16, 5)

    def forward(self, x):
        parts = [self.token.expand(len(x), -1, -1), self.embed(x).flatten(2).mT]
        x = self.norm(torch.cat(parts[::-1] if self.behind else parts, 1))
        x = x + attend(x)
        x = x[:, -1 if self.behind else 0]
        if self.text:
            words = self.after(self.words.expand(len(x), -1, -1))
            x = x * (words + attend(words)).mean(1)
        return self.fc(x)


@pytest.mark.parametrize("name", ["attention_rollout", "gradient_attention"])
def test_the_text_is_left_out(name):
    alone = s.METHODS["attention_rollout"](Towers(False).eval(), X, 1, upsample=False)
    both = s.METHODS[name](Towers(True).eval(), X, 1, upsample=False)
    assert both.shape == (2, 1, 8, 8)
    if name == "attention_rollout":
        torch.testing.assert_close(both, alone)
    assert not torch.allclose(both[0], both[1])


@pytest.mark.parametrize("name", ["attention_rollout", "gradient_attention"])
def test_a_class_token_behind_the_patches(name):
    first, behind = (s.METHODS[name](Towers(False, b).eval(), X, 1, upsample=False) for b in (False, True))
    torch.testing.assert_close(behind, first)


def test_pyramids_are_refused():
    class Pyramid(Towers):
        def forward(self, x):
            x = self.norm(self.embed(x).flatten(2).mT)
            fewer = x[:, ::4]
            x = x + F.scaled_dot_product_attention(x[:, None], fewer[:, None], fewer[:, None])[:, 0]
            return self.fc((fewer + attend(fewer)).mean(1) + x.mean(1))

    with pytest.raises(ValueError, match=r"several sizes \(16, 64 tokens\)"):
        s.attention_rollout(Pyramid(False).eval(), X, 1)
