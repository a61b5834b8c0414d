"""What perturbation methods and measures follow: softmax, sigmoid or the score itself, against values written out."""

import pytest
import torch
from torch import nn

from cv_attention import saliency as s
from cv_attention.saliency import targets as t
from cv_attention.saliency.metrics.faithfulness import ranks

X = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
HEAT = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(2))


class Halves(nn.Module):
    """Two numbers for each image: the mean brightness of its left half and of its right half, times ten."""

    def __init__(self, outputs=2):
        super().__init__()
        self.outputs = outputs

    def forward(self, x):
        means = [10 * x[..., :8].mean((1, 2, 3)), 10 * x[..., 8:].mean((1, 2, 3))]
        return torch.stack(means[: self.outputs], 1)


LINKS = {
    "softmax": lambda z: z.softmax(1)[:, 0],
    "sigmoid": lambda z: z[:, 0].sigmoid(),
    "identity": lambda z: z[:, 0],
}
# name: (target, number of outputs, link asked for, link that is used)
CHOICES = {
    "classes": (0, 2, None, "softmax"),
    "one output": (0, 1, None, "sigmoid"),
    "asked sigmoid": (0, 2, "sigmoid", "sigmoid"),
    "asked identity": (0, 2, "identity", "identity"),
    "class score": (t.class_score(0), 2, None, "softmax"),
    "class score of one": (t.class_score(0), 1, None, "sigmoid"),
    "label": (t.multi_label(0), 2, None, "sigmoid"),
    "label asked": (t.multi_label(0), 2, "softmax", "softmax"),
    "value": (t.regression(0), 2, None, "identity"),
    "callable": (lambda z: z[:, 0], 2, None, "identity"),
    "callable asked": (lambda z: z[:, 0], 2, "sigmoid", "sigmoid"),
}


@pytest.mark.parametrize("name", CHOICES)
def test_deletion_follows_the_link(name):
    target, outputs, link, used = CHOICES[name]
    model = Halves(outputs)
    found = s.metrics.deletion_auc(model, X, HEAT, target, link=link, step=64)
    order = ranks(HEAT)
    curve = torch.stack([LINKS[used](model(torch.where(order < k * 64, 0, X))) for k in range(5)], 1)
    torch.testing.assert_close(found.curve, curve)
    why = s.explanation(found.auc)
    assert (why.method, why.link) == ("deletion_auc", used)


@pytest.mark.parametrize("name", CHOICES)
def test_rise_follows_the_link(name):
    target, outputs, link, used = CHOICES[name]
    model, masks = Halves(outputs), []
    model.register_forward_pre_hook(lambda _, args: masks.append(args[0]))
    heat = s.rise(model, torch.ones_like(X), target, masks=6, cells=4, link=link, batch_size=2)
    assert s.explanation(heat).link == used
    drawn = torch.stack([m[:, :1] for m in masks if len(m) == 2 and m.std() > 0])[-6:]
    scores = torch.stack([LINKS[used](Halves(outputs)(m.expand(-1, 3, -1, -1))) for m in drawn])
    torch.testing.assert_close(heat, (scores[:, :, None, None, None] * drawn).sum(0) / 3)


def test_lime_sees_only_the_label_that_is_explained():
    """The left half decides label 0: with the sigmoid the right half has no influence, with the softmax it has."""
    images = torch.ones(1, 3, 16, 16)
    alone = s.lime(Halves(), images, t.multi_label(0), cells=2, samples=200, alpha=0.01)
    left, right = alone[..., :8].mean(), alone[..., 8:].mean()
    assert abs(right) < 0.05 * left
    assert s.explanation(alone).link == "sigmoid"
    against = s.lime(Halves(), images, 0, cells=2, samples=200, alpha=0.01)
    assert against[..., 8:].mean() < -0.05
    assert s.lime(Halves(1), images, 0, cells=2, samples=50).abs().max() > 0.05


@pytest.mark.parametrize("link", ["softmax", "identity"])
def test_confidence_and_road_follow_the_link(link):
    model, shown = Halves(), (HEAT - HEAT.amin((2, 3), keepdim=True))
    shown = shown / (shown.amax((2, 3), keepdim=True) + 1e-7)
    images = X + 2
    found = s.metrics.confidence_change(model, images, HEAT, 0, link=link)
    before, after = LINKS[link](model(images)), LINKS[link](model(images * shown))
    torch.testing.assert_close(found.drop, (before - after).relu() / before)
    assert s.explanation(found.drop).link == link
    road = s.metrics.road(model, images, HEAT, 0, link=link, percentiles=[50])
    plain = s.metrics.road(model, images, HEAT, lambda z: LINKS[link](z), percentiles=[50])
    torch.testing.assert_close(road.combined, plain.combined)
    assert s.explanation(road.combined).link == link


def test_mistakes():
    with pytest.raises(ValueError, match="link must be 'softmax', 'sigmoid', 'identity' or None, got 'logit'"):
        s.rise(Halves(), X, 0, link="logit")
    with pytest.raises(ValueError, match="at least two outputs, got 1, whose softmax is always 1"):
        s.rise(Halves(1), X, 0, link="softmax", masks=2)
    with pytest.raises(ValueError, match="a callable returns one score per image"):
        s.rise(Halves(), X, lambda z: z[:, 0], link="softmax", masks=2)
