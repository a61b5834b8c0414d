"""Targets on any output against values written out, and methods that explain such outputs against plain autograd."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from cv_attention import saliency as s
from cv_attention.saliency import targets as t

X = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


class Any(nn.Module):
    """Returns what `change` makes of feature maps (B, 8, 16, 16)."""

    def __init__(self, change):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU()), nn.Conv2d(8, 8, 3, 1, 1)
        self.change = change

    def forward(self, x):
        return self.change(self.head(self.body(x)))


MASK = torch.zeros(2, 16, 16, dtype=torch.bool)
MASK[0, 2:5, 3:9] = MASK[1, 8:, 8:] = True
OTHER = torch.randn(2, 8, generator=torch.Generator().manual_seed(3))
# target, the output from feature maps y, and the scores of y written out
KINDS = {
    "class": (t.class_score([1, 2], key="kind"), lambda y: {"kind": y.mean((2, 3)), "other": y.amax((2, 3))},
              lambda y: torch.stack([y[0, 1].mean(), y[1, 2].mean()])),
    "tuple": (t.class_score(3, key=1), lambda y: (y.amax((2, 3)), y.mean((2, 3))), lambda y: y[:, 3].mean((1, 2))),
    "difference": (t.difference(t.class_score(0), 5), lambda y: y.mean((2, 3)),
                   lambda y: y[:, 0].mean((1, 2)) - y[:, 5].mean((1, 2))),
    "segment": (t.segment(4, MASK), lambda y: {"out": y, "aux": y},
                lambda y: torch.stack([y[0, 4, 2:5, 3:9].mean(), y[1, 4, 8:, 8:].mean()])),
    "similarity": (t.similarity(OTHER), lambda y: y.mean((2, 3)), lambda y: torch.stack(
        [a @ b / a.norm() / b.norm() for a, b in zip(y.mean((2, 3)), OTHER, strict=True)])),
    "text": (t.text(OTHER, 1, scale=10), lambda y: y.mean((2, 3)), lambda y: torch.stack(
        [10 * a @ OTHER[1] / a.norm() / OTHER[1].norm() for a in y.mean((2, 3))])),
    "label": (t.multi_label(2), lambda y: y.mean((2, 3)), lambda y: y[:, 2].mean((1, 2))),
    "value": (t.regression(), lambda y: y.mean((1, 2, 3)), lambda y: y.mean((1, 2, 3))),
    "character": (t.character([4, 0], [1, 7]), lambda y: y.mean(2).mT,
                  lambda y: torch.stack([y[0, 1, :, 4].mean(), y[1, 7, :, 0].mean()])),
    "list": (lambda out: torch.stack([one["score"] for one in out]),
             lambda y: [{"score": one.sum() / 100} for one in y], lambda y: y.sum((1, 2, 3)) / 100),
    "volume": (lambda out: out[:, 1].amax((1, 2, 3)), lambda y: y[:, :, None].expand(-1, -1, 3, -1, -1),
               lambda y: y[:, 1].amax((1, 2))),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_and_grad_cam_of_any_output(kind):
    target, change, written = KINDS[kind]
    model = Any(change).eval()
    pixels = X.clone().requires_grad_()
    a = model.body(pixels)
    scores = written(model.head(a))
    torch.testing.assert_close(s.core.targets.target_scores(s.core.outputs.results.Result(model(X), 2), target), scores)
    g, dx = torch.autograd.grad(scores.sum(), [a, pixels])
    expected = (g.mean((2, 3), keepdim=True) * a).sum(1, keepdim=True).relu().detach()
    torch.testing.assert_close(s.grad_cam(model, X, target, layers="body", upsample=False), expected)
    torch.testing.assert_close(s.gradient(model, X, target), dx.abs().amax(1, keepdim=True))
    torch.testing.assert_close(s.gradient(model, X, target, batch_size=1), dx.abs().amax(1, keepdim=True))


@pytest.mark.parametrize("kind", ["class", "segment", "character", "list", "text"])
def test_occlusion_of_any_output(kind):
    """The map in windows that do not overlap is the drop of the score, up to the windows' size."""
    target, change, _ = KINDS[kind]
    model = Any(change).eval()
    heat = s.occlusion(model, X, target, window=16, stride=16)
    drops = []
    with torch.no_grad():
        for y in (0, 16):
            for x in (0, 16):
                covered = X.clone()
                covered[:, :, y : y + 16, x : x + 16] = 0
                drops.append(target(model(X)) - target(model(covered)))
    expected, got = torch.stack(drops, 1), heat[:, 0, 8::16, 8::16].flatten(1)
    torch.testing.assert_close(got / got.abs().max(), expected / expected.abs().max())
    torch.testing.assert_close(s.occlusion(model, X, target, window=16, stride=16, batch_size=1), heat)


def test_perturbations_follow_the_quantity_of_the_target():
    z = torch.tensor([[1.0, 2.0, -1.0]])
    quantity = s.core.outputs.links.quantity
    assert quantity(z, 1).item() == pytest.approx(z.softmax(1)[0, 1].item())
    assert quantity(z[:, :1], 0).item() == pytest.approx(z[0, 0].sigmoid().item())
    assert quantity(z, t.multi_label(1)).item() == pytest.approx(z[0, 1].sigmoid().item())
    assert quantity(z, t.regression(1)).item() == 2
    assert quantity(z, lambda out: out[:, 1]).item() == 2
    prompts = t.text(torch.eye(3), 0, scale=2)
    expected = (2 * F.normalize(z)).softmax(1)[0, 0].item()
    assert quantity(z, prompts).item() == pytest.approx(expected)


def test_one_output_has_a_map():
    one = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1))
    assert s.rise(one.eval(), X, 0, masks=8).std() > 0
    auc = s.metrics.deletion_auc(one, X, torch.rand(2, 1, 32, 32), 0).auc
    assert not torch.allclose(auc, torch.ones(2))


BOXES = torch.tensor([[0.0, 0, 10, 10], [1.0, 1, 11, 11], [20.0, 20, 30, 30]])
SCORES = torch.tensor([0.4, 0.7, 0.9])


def outputs(kind):
    """The same three detections of class 1 as each kind of detector returns them, in an image of 40 x 40."""
    centres = torch.cat([(BOXES[:, :2] + BOXES[:, 2:]) / 2, BOXES[:, 2:] - BOXES[:, :2]], 1)
    if kind == "torchvision":
        return [{"boxes": BOXES, "labels": torch.tensor([1, 1, 1]), "scores": SCORES}]
    if kind == "yolo":
        found = torch.cat([centres, torch.zeros(3, 1), SCORES[:, None]], 1).T[None]
        return torch.cat([found, torch.zeros(1, 6, 5)], 2), None
    logits = torch.stack([torch.zeros(3), SCORES.logit(), torch.full((3,), -1e9)], 1)[None]

    class Output:
        pred_boxes = centres[None] / 40

    Output.logits = logits
    return Output()


@pytest.mark.parametrize("kind", ["torchvision", "yolo", "detr"])
def test_boxes_of_each_kind_of_detector(kind):
    output = outputs(kind)

    def best(place, iou):
        return round(t.box(1, place, iou, size=(40, 40))(output).item(), 4)

    ious = torchvision.ops.box_iou(torch.tensor([[0.0, 0, 10, 10]]), BOXES)[0]
    assert best([0, 0, 10, 10], 0.9) == 0.4
    assert best([0, 0, 10, 10], ious[1].item() - 0.01) == 0.7
    assert best([0, 0, 10, 10], 0.0) == 0.9
    assert best([50, 50, 60, 60], 0.5) == 0


def test_what_was_explained_is_in_the_result():
    model = Any(lambda y: y.mean((2, 3))).eval()
    two = s.Several("predicted", t.difference(t.multi_label(2), t.text(OTHER, 1)))
    heat = s.grad_cam(model, X, two)
    why = s.explanation(heat)
    assert (why.method, why.targets) == ("grad_cam", ("the predicted class", "label 2 rather than prompt 1 of 2"))
    assert dict(why.layers) == {"head": (16, 16)}
    assert s.explanation(s.gradient(model, X, t.class_score([1, 2]), batch_size=1)).targets == ("class [1, 2]",)
    with pytest.raises(ValueError, match="itself, not a copy"):
        s.explanation(heat.clone())


@pytest.mark.parametrize(
    ("make", "output", "message"),
    [
        (lambda: t.class_score(9), torch.zeros(2, 5), r"index must be in 0..4, got \[9\]"),
        (lambda: t.class_score(1, key="a"), {"b": 1}, "no entry 'a', which has b"),
        (lambda: t.class_score(1), (torch.zeros(2, 5), 1), "got a tuple, of length 2; give key="),
        (lambda: t.segment(1, torch.zeros(4, 4)), None, "mask of an image is empty"),
        (lambda: t.box(1, [5, 5, 1, 9]), None, "x1 > x0"),
        (lambda: t.box(1, [0, 0, 5, 5]), torch.zeros(2, 300, 6), "before its end-to-end head"),
        (lambda: t.similarity(torch.zeros(3)), torch.zeros(2, 5), "has 3 numbers, the model's 5"),
        (lambda: t.text(torch.zeros(2, 3), 2), None, r"in 0..1, got 2"),
        (lambda: t.character(9, 0), torch.zeros(2, 5, 4), r"step must be in 0..4, got \[9\]"),
    ],
)
def test_mistakes(make, output, message):
    with pytest.raises(ValueError, match=message):
        make()(output)


def test_what_cannot_be_meant_is_refused():
    model = Any(lambda y: y.mean((2, 3))).eval()
    with pytest.raises(ValueError, match=r"zeros and ones are read as class indices(.|\n)*multi_label"):
        s.grad_cam(model, X, torch.tensor([[0, 1, 1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0]]))
    with pytest.raises(ValueError, match=r"images must be floats .* got torch.uint8"):
        s.smooth_grad(model, (X.abs() * 50).to(torch.uint8), 1)


def test_boxes_of_a_yolo_that_segments_are_found_within_its_tuples():
    rows = torch.rand(
        1, 4 + 2 + 32, 64, generator=torch.Generator().manual_seed(0)
    )  # boxes, classes, coefficients of masks
    rows[:, :2], rows[:, 2:4] = 16.0, 8.0
    place = torch.tensor([[12.0, 12.0, 20.0, 20.0]])
    target, prototypes = t.box(1, place), torch.rand(1, 32, 8, 8)
    expected = rows[:, 5].amax(1)
    for output in (rows, (rows, None), ((rows, prototypes), {"boxes": rows})):
        torch.testing.assert_close(target(output), expected)


@pytest.mark.parametrize("one", [np.int64(3), np.array(3), torch.tensor(3)])
def test_classes_as_numbers_of_numpy(one):
    model = Any(lambda y: y.mean((2, 3)))
    heat = s.grad_cam(model, X, one)
    torch.testing.assert_close(heat, s.grad_cam(model, X, 3))
    assert s.explanation(heat).targets == ("class 3",)
    assert s.explanation(s.gradient(model, X, s.Several(one, 1))).targets == ("class 3", "class 1")
