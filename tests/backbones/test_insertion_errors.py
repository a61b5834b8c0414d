"""Every mistake has its one line, and leaves the model as it was."""

import pytest
import torch
from torch import nn

from cv_attention.backbones import build, insert, plan, remove


def conv(channels):
    return nn.Conv2d(channels, channels, 1)


class Host(nn.Module):
    """One module of each kind that cannot be a host."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.shared = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()
        self.parts, self.norm = nn.ModuleList([nn.Conv2d(4, 4, 1)]), nn.LayerNorm(4)
        self.functional, self.flat = nn.Linear(4, 4), nn.Flatten()
        self.pair, self.runs, self.hidden = Pair(), Runs(), HiddenRuns()

    def forward(self, x):
        x = self.shared(self.parts[0](self.shared(self.stem(x))))
        x = self.norm(x.permute(0, 2, 3, 1))
        x = nn.functional.linear(x, self.functional.weight).permute(0, 3, 1, 2)
        x = self.hidden(self.runs(self.pair(x)[0]))
        return self.flat(x)


class Pair(nn.Module):
    def forward(self, x):
        return x + 1, x


class Runs(nn.Module):
    """Runs its children, and its output is none of theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        for child in self.children():
            x = child(x)
        return x * 2


class HiddenRuns(Runs):
    """The same where it cannot be seen from the forward."""

    def forward(self, x):
        return self.run(x)

    def run(self, x):
        for child in self.children():
            x = child(x)
        return x * 2


def wrong_shape(channels):
    return nn.Conv2d(channels, channels + 1, 1)


def smaller(channels):
    return nn.Conv2d(channels, channels, 3)


def in_place(channels):
    return nn.ReLU(inplace=True)


def refuses(channels):
    raise ValueError(f"channels must be divisible by 3, got channels={channels}")


@pytest.mark.parametrize(
    ("block", "at", "parts"),
    [
        (conv, "shared", ["site 'shared'", "ReLU", "called 2 times"]),
        (conv, "functional", ["site 'functional'", "Linear", "never called"]),
        (conv, "flat", ["site 'flat'", "(1, 1024)"]),
        (conv, "norm", ["site 'norm'", "channels at axis 3"]),
        (conv, "pair", ["site 'pair'", "returns a tuple"]),
        (conv, "parts", ["site 'parts'", "ModuleList", "never called"]),
        (conv, "runs", ["site 'runs'", "Runs", "runs its children"]),
        (conv, "hidden", ["site 'hidden'", "HiddenRuns", "called 2 times"]),
        (conv, "stam", ["'stam'", "stem"]),
        (conv, "residaul", ["'residaul'", "; did you mean 'residual'"]),
        (conv, "*.0.*", ["'*.0.*'", "**"]),
        (conv, "residual", ["Host has no position 'residual'", "glob"]),
        (conv, [], ["at must be", "[]"]),
        (conv, "", ["at must be"]),
        (wrong_shape, "stem", ["wrong_shape", "site 'stem'", "(1, 4, 16, 16)", "(1, 5, 16, 16)"]),
        (smaller, "stem", ["smaller", "(1, 4, 14, 14)"]),
        (in_place, "stem", ["in_place", "in place"]),
        (refuses, "stem", ["refuses", "'stem'", "divisible by 3", "channels=4"]),
        (lambda channels: nn.Conv2d(7, 7, 1), "stem", ["'stem'", "fails"]),
        (lambda channels: channels, "stem", ["nn.Module", "int"]),
        (nn.ReLU(), "stem", ["class ReLU"]),
    ],
)
def test_says_what_is_wrong(block, at, parts):
    model = Host()
    keys, state = list(model.state_dict()), repr(model)
    for function in (plan, insert) if at != "hidden" else (insert,):
        with pytest.raises(ValueError) as caught:
            function(model, block, at, input_size=16)
        message = str(caught.value)
        assert "\n" not in message
        for part in parts:
            assert part in message
        assert list(model.state_dict()) == keys
        assert repr(model) == state
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"init": "zero"}, ["'zero'", "'plain' or 'identity'"]),
        ({"input_size": (1, 2, 3, 4)}, ["(1, 2, 3, 4)", "(H, W)"]),
        ({"input_size": 0}, ["0", "side"]),
        ({"input_size": True}, ["True", "side"]),
        ({"input_size": 32.0}, ["32.0", "side"]),
        ({"input_size": (32, 32.0)}, ["(32, 32.0)", "(H, W)"]),
        ({"input_size": (1, 32, 32)}, ["CifarResNet fails", "1×32×32", "channels"]),
    ],
)
def test_checks_its_options(options, parts):
    with pytest.raises(ValueError) as caught:
        insert(build("resnet20"), conv, **options)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("model", "got"), [("resnet50", "'resnet50'"), (nn.ReLU, "class"), (build, "a function"), (None, "a NoneType")]
)
@pytest.mark.parametrize("call", [lambda m: plan(m, "se"), lambda m: insert(m, "se"), remove])
def test_what_is_no_model_is_named(call, model, got):
    with pytest.raises(ValueError, match=f"model must be a torch.nn.Module, built already, got .*{got}"):
        call(model)


def broken(channels):
    return channels / 0


@pytest.mark.parametrize("block", [nn.Conv2d, broken])
def test_a_callable_that_fails_is_named_with_its_site(block):
    with pytest.raises(ValueError, match=rf"block {block.__name__} at site 'layer1.0.bn2': (TypeError|ZeroDivision)"):
        plan(build("resnet20"), block)


def test_no_cnn_is_said_to_be_none():
    tokens = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 8), nn.ReLU(), nn.Linear(8, 2))
    with pytest.raises(ValueError, match="it has: none, as no feature maps"):
        plan(tokens, conv, input_size=8)


def test_unknown_size_says_what_was_tried():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 9 * 9, 2))
    with pytest.raises(ValueError, match=r"fails on an image of 3×224×224, 3×32×32, .*give its input_size"):
        plan(model, conv, "0")
    assert plan(model, conv, "0", input_size=11).sites[0].height == 9


def test_finds_a_usual_size_by_itself():
    model = nn.Sequential(nn.Conv2d(1, 4, 5), nn.Flatten(), nn.Linear(4 * 24 * 24, 2))
    assert plan(model, conv, "0").input_shape == (1, 28, 28)


def test_compiled_and_scripted_models_are_refused():
    model = build("resnet20")
    with pytest.raises(ValueError, match=r"before torch\.compile"):
        insert(torch.compile(model, backend="eager"), conv)
    model.compile(backend="eager")
    with pytest.raises(ValueError, match=r"before torch\.compile"):
        insert(model, conv)


def test_lazy_models_are_refused():
    with pytest.raises(ValueError, match="run it once"):
        insert(nn.Sequential(nn.LazyConv2d(4, 3)), conv, "0")


def test_models_made_under_inference_mode_are_refused():
    with torch.inference_mode():
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    with pytest.raises(ValueError, match=r"Sequential was made under torch\.inference_mode"):
        insert(model, conv, "0")


class Rectifies(nn.Module):
    """Rectifies its input in place, and uses the input as well as what the ReLU returns."""

    def __init__(self) -> None:
        super().__init__()
        self.relu, self.conv = nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3, 1, 1)

    def forward(self, x):
        return self.conv(self.relu(x)) + x


class Ignores(Rectifies):
    """Ignores what its ReLU, within a container, returns."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.Sequential(nn.ReLU(inplace=True))

    def forward(self, x):
        x = x * 1
        self.relu(x)
        return self.conv(x)


class Rectified(nn.Module):
    def __init__(self, inner) -> None:
        super().__init__()
        self.stem, self.inner, self.last = nn.Conv2d(3, 4, 3), inner(), nn.ReLU(inplace=True)

    def forward(self, x):
        return self.last(self.inner(self.stem(x))).mean((2, 3))


class Twice(nn.Module):
    def forward(self, x):
        return 2 * x


@pytest.mark.parametrize(("inner", "at"), [(Rectifies, "inner.relu"), (Ignores, "inner.relu.0")])
def test_a_block_behind_a_module_whose_result_is_not_what_goes_on(inner, at):
    model = Rectified(inner).eval()
    with pytest.raises(ValueError, match=r"ReLU changes its input in place, and the network then uses that"):
        insert(model, "se", at, input_size=16)


def test_the_shortcut_of_a_branch_that_rectifies_its_input_in_place():
    model = Rectified(Rectifies).eval()
    with pytest.raises(ValueError, match="no position 'identity'; it has: residual"):  # once it went into the branch
        insert(model, lambda channels: Twice(), "identity", input_size=16)
    x = torch.randn(2, 3, 16, 16)
    for at, by_hand in {
        "pre": lambda inner, h: inner.conv(2 * h) + h,
        "residual": lambda inner, h: 2 * inner.conv(h) + h,
        "post": lambda inner, h: 2 * (inner.conv(h) + h),
        "last": lambda inner, h: 2 * (inner.conv(h) + h),
    }.items():
        insert(model, lambda channels: Twice(), at, input_size=16)
        attended = model(x)
        remove(model)
        torch.testing.assert_close(attended, by_hand(model.inner, model.stem(x).relu()).relu().mean((2, 3)))


def run_children(module, x):
    for child in module.children():
        x = child(x)
    return x


class Chain(nn.Module):
    """Runs its children by a helper; without any, it returns its input."""

    def forward(self, x):
        return run_children(self, x)


def test_an_empty_container_would_run_its_block_twice():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), Chain())
    with pytest.raises(ValueError, match="a block in it would be called 2 times"):
        insert(model, "se", "1", input_size=16)
    assert not model[1]._modules


@pytest.mark.parametrize("freeze", [torch.jit.script, lambda m: torch.jit.trace(m, torch.zeros(1, 4, 14, 14))])
def test_a_scripted_part(freeze):
    model = Rectified(Rectifies)
    model.inner = freeze(model.inner)
    with pytest.raises(ValueError, match=r"Rectified's module 'inner' is scripted or traced; insert before"):
        insert(model, "se", "stem", input_size=16)
