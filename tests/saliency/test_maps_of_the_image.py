"""The automatic layer is a map of the image on which the score depends: never of words, queries or unused branches."""

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

from cv_attention import saliency as s
from cv_attention.saliency.core.places.layouts import Grid, grid_of_map, token_grids

X = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def layers(model, images=X, targets=1, **options):
    torch.manual_seed(0)
    return {n: tuple(h.shape[2:]) for n, h in s.grad_cam_layers(model.eval(), images, targets, **options).items()}


class Question(nn.Module):
    """A CNN and a question of 16 words, not a grid of 4 x 4; `fused` lets the words look at the image."""

    def __init__(self, fused=False, cnn=True):
        super().__init__()
        torch.manual_seed(0)
        self.fused, self.cnn = fused, cnn
        self.stem, self.words = nn.Conv2d(3, 16, 3, 4, 1), nn.Embedding(50, 16)
        self.text = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.cross = nn.MultiheadAttention(16, 2, batch_first=True)
        self.after = nn.LayerNorm(16)
        self.fc = nn.Linear(32, 5)
        self.question = torch.randint(0, 50, (1, 16))

    def forward(self, x):
        image = self.stem(x).relu()
        words = self.text(self.words(self.question.expand(len(x), -1)))
        if self.fused:
            words = self.after(words + self.cross(words, image.flatten(2).mT, image.flatten(2).mT)[0])
        image = image.mean((2, 3)) if self.cnn else torch.zeros(len(x), 16)
        return self.fc(torch.cat([image, words.mean(1)], 1))


@pytest.mark.parametrize("fused", [False, True])
def test_words_are_no_positions(fused):
    model = Question(fused)
    assert layers(model) == {"stem": (16, 16)}
    first, second = s.grad_cam(model, X, 1)
    assert not torch.allclose(first, second)


def test_a_question_alone_has_no_map():
    with pytest.raises(ValueError, match=r"stem \(1, 16, 16, 16\): the target does not depend on it"):
        layers(Question(cnn=False))


class Side(nn.Module):
    """A body for the classes, and a later branch that only the second output uses."""

    def __init__(self):
        super().__init__()
        self.body, self.fc = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU()), nn.Linear(8, 5)
        self.side, self.boxes = nn.Conv2d(8, 4, 3, 2, 1), nn.Linear(4, 4)

    def forward(self, x):
        x = self.body(x)
        return {"logits": self.fc(x.mean((2, 3))), "boxes": self.boxes(self.side(x).mean((2, 3)))}


def test_the_layer_is_on_the_way_to_the_target():
    model = Side()
    assert layers(model, targets=lambda out: out["logits"][:, 1]) == {"body": (32, 32)}
    assert layers(model, targets=lambda out: out["boxes"][:, 1]) == {"side": (16, 16)}
    mine = s.eigen_cam(model, X, lambda out: out["logits"][:, 1], upsample=False)
    torch.testing.assert_close(mine, s.eigen_cam(model, X, layers="body", upsample=False))


class Tokens(nn.Module):
    """Patches with `before` and `after` other tokens around them, and a row-wise head."""

    def __init__(self, before=0, after=0, transposed=False):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.norm, self.fc = nn.Conv2d(3, 24, 14, 14), nn.LayerNorm(24), nn.Linear(24, 5)
        self.before, self.after = nn.Parameter(torch.randn(1, before, 24)), nn.Parameter(torch.randn(1, after, 24))
        self.transposed = transposed

    def forward(self, x):
        patches = self.embed(x)
        patches = (patches.mT if self.transposed else patches).flatten(2).mT
        extra = [tokens.expand(len(x), -1, -1) for tokens in (self.before, self.after)]
        return self.fc(self.norm(torch.cat([extra[0], patches, extra[1]], 1)).square().mean(1))


@pytest.mark.parametrize(("before", "after"), [(0, 0), (1, 0), (5, 0), (0, 1), (0, 4), (2, 3)])
@pytest.mark.parametrize("named", [None, "norm"])
def test_other_tokens_before_and_after(before, after, named):
    """4 x 7 patches; with four registers and a class token, 33 tokens would also be 4 x 8 and one."""
    model = Tokens(before, after).eval()
    images = torch.randn(2, 3, 56, 98, generator=torch.Generator().manual_seed(2))
    kept = {}
    handle = model.norm.register_forward_hook(lambda m, _, out: kept.update(a=out))
    g = torch.autograd.grad(model(images)[:, 1].sum(), kept["a"])[0]
    handle.remove()
    a, g = (t[:, before : before + 28].mT.reshape(2, 24, 4, 7) for t in (kept["a"].detach(), g))
    expected = (g.mean((2, 3), keepdim=True) * a).sum(1, keepdim=True).relu()
    torch.testing.assert_close(s.grad_cam(model, images, 1, layers=named, upsample=False), expected)


def test_an_order_nobody_can_guess_is_refused_and_given():
    images = torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(2))
    model, plain = Tokens(transposed=True).eval(), Tokens().eval()
    assert layers(model, images) == {"embed": (4, 4)}
    for name in ("hires_cam", "ablation_cam"):
        method = s.METHODS[name]
        with pytest.raises(ValueError, match="positions do not move with the image's; give layout="):
            method(model, images, 1, layers="norm")
        given = method(model, images, 1, layers="norm", layout=lambda x: x.mT.unflatten(2, (4, 4)).mT, upsample=False)
        torch.testing.assert_close(given, method(plain, images, 1, layers="norm", upsample=False), rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match=r"layout must return \(B, C, h, w\) for layer 'norm' of shape \(2, 16, 24\)"):
        s.grad_cam(model, images, 1, layers="norm", layout=lambda x: x)


class Towers(nn.Module):
    """Two towers over two crops of the image; the second ends last, and the score uses one of them."""

    def __init__(self, used):
        super().__init__()
        make = lambda: nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1))  # noqa: E731
        self.first, self.second, self.fc, self.used = make(), make(), nn.Linear(8, 5), used

    def forward(self, x):
        both = self.first(x).mean((2, 3)), self.second(x).mean((2, 3))
        return self.fc(both[self.used])


def test_towers_are_told_apart():
    assert list(layers(Towers(0))) == ["first"]
    assert list(layers(Towers(1))) == ["second"]


class Bound(nn.Module):
    """A second input of the whole batch, bound in a wrapper: no other batch size can be run."""

    def __init__(self, other):
        super().__init__()
        self.other, self.body, self.fc = other, nn.Conv2d(3, 8, 3, 2, 1), nn.Linear(10, 5)

    def forward(self, x):
        return self.fc(torch.cat([self.body(x).relu().mean((2, 3)), self.other], 1))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_model_that_takes_one_batch_size(count):
    assert layers(Bound(torch.randn(count, 2)), torch.randn(count, 3, 32, 32)) == {"body": (16, 16)}


class Dense(nn.Module):
    """A segmentation network: the classifier's output is what is explained, and no map of why."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU())
        self.classifier = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 4, 1))

    def forward(self, x):
        return nn.functional.interpolate(self.classifier(self.backbone(x)), x.shape[2:], mode="bilinear")


def test_segmentation_is_explained_before_its_head():
    model = Dense()
    target = lambda out: out[:, 2, 10:30, 20:40].mean((1, 2))  # noqa: E731
    assert layers(model, targets=target) == {"backbone": (16, 16)}
    heat = s.grad_cam(model, X, target, upsample=False)
    logits = model.classifier(model.backbone(X))[:, 2:3].detach().relu()
    assert torch.corrcoef(torch.stack([heat.flatten(), logits.flatten()]))[0, 1] < 0.95


def test_the_layer_follows_what_changes(monkeypatch):
    runs = []
    model = Side().eval()
    model.body.register_forward_hook(lambda *_: runs.append(1))
    target = lambda out: out["logits"][:, 1]  # noqa: E731
    s.grad_cam(model, X, target)
    first = len(runs)
    s.grad_cam(model, X, target)
    assert (first, len(runs)) == (2, 3)  # a small pass, once
    s.grad_cam(model, X, lambda out: out["boxes"][:, 1])
    assert len(runs) == 5  # another target: what it depends on, but not again what is a map
    model.body.flag = True  # as set_grad_checkpointing does
    s.grad_cam(model, X, target)
    assert len(runs) == 7


def test_registers_of_timm():
    options = {"img_size": (56, 98), "patch_size": 14, "num_classes": 5, "depth": 2, "embed_dim": 48}
    model = timm.create_model("vit_tiny_patch16_224", reg_tokens=4, **options)
    assert layers(model, torch.randn(2, 3, 56, 98)) == {"blocks.1.norm1": (4, 7)}


def test_grids_by_shape():
    images = torch.zeros(2, 3, 224, 320)
    assert grid_of_map(torch.zeros(2, 7, 10, 96), images) == Grid(-1, (7, 10))
    assert grid_of_map(torch.zeros(2, 5, 7, 10), images) == Grid(1, (7, 10))
    assert grid_of_map(torch.zeros(2, 96, 1, 1), torch.zeros(2, 3, 32, 32)) == Grid(1, (1, 1))
    options = list(token_grids(33, 56 / 98, []))
    assert Grid(-1, (4, 7), 5, 0) in options
    assert Grid(-1, (4, 7), 0, 5) in options
    assert next(token_grids(196, 1.0, [])) == Grid(-1, (14, 14))


class Cutting(nn.Module):
    """With the usual transform for photographs inside: a resize, and a crop of the middle."""

    def __init__(self, resized, side):
        super().__init__()
        torch.manual_seed(0)
        self.resized, self.side = resized, side
        self.net = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = F.interpolate(x, self.resized, mode="bicubic", antialias=True) if self.resized else x
        top, left = (x.shape[2] - self.side) // 2, (x.shape[3] - self.side) // 2
        x = self.net(x[:, :, top : top + self.side, left : left + self.side])
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize(
    ("size", "resized", "side", "why"),
    [((48, 64), None, 48, "not the image's proportions"), ((64, 48), (43, 32), 32, "not the image.s proportions"),
     ((32, 32), None, 16, "it sees rows 8 to 23 of 32 alone"), ((64, 64), None, 50, "it sees rows 7 to 56 of 64 alone"),
     ((64, 64), (48, 48), 32, "it sees rows|do not move")],
)  # fmt: skip
def test_a_part_that_the_model_cuts_out_is_not_the_image(size, resized, side, why):
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=why):
        s.grad_cam(Cutting(resized, side).eval(), images, 1)


def test_half_a_position_may_be_cut_off():
    """Positions are four pixels wide, and one pixel is cut off on each side."""
    images = torch.randn(2, 3, 66, 66, generator=torch.Generator().manual_seed(0))
    model = Cutting(None, 64).eval()
    heat = s.grad_cam(model, images, 1)
    inner = s.grad_cam(model, images[:, :, 1:-1, 1:-1], 1)
    likeness = F.cosine_similarity(heat[:, :, 1:-1, 1:-1].flatten(1), inner.flatten(1))
    assert heat.shape == (2, 1, 66, 66)
    assert float(likeness.min()) > 0.95
