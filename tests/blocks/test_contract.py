"""Every block of the catalogue keeps the contract of a block, whatever the block is."""

import ast
import copy
import inspect
import pickle
import re
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch.autograd import gradcheck
from torch.autograd.gradcheck import GradcheckError
from torch.func import functional_call
from torch.testing import assert_close

from cv_attention.backbones.tracing.flops import CountFlops
from cv_attention.blocks import CATALOGUE, Gate, cost, create
from tests.blocks.cases import CASES, DEFAULTS, OPTIONS_LONG, feature_map, hooked
from tests.references.flops import plain_flops

every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_written = pytest.mark.parametrize("case", OPTIONS_LONG, ids=str)
every_block = pytest.mark.parametrize("case", DEFAULTS, ids=str)


def map_shape(kind, batch, channels, height, width):
    """Returns the map's shape; None where any size is right."""
    return {
        "channel": (batch, channels, 1, 1),
        "spatial": (batch, 1, height, width),
        "joint": (batch, channels, height, width),
        "pairwise": (batch, None, None, height, width),
        "alignment": (batch, None, None, None),
    }[kind]


@every_case
@pytest.mark.parametrize(
    "size",
    [(1, 1), (5, 7), *(pytest.param(size, marks=pytest.mark.long) for size in ((1, 6), (8, 8)))],
    ids=lambda size: f"{size[0]}x{size[1]}",
)
def test_keeps_shape(case, size):
    x = feature_map(2, case.channels, *size)
    block = case.build()
    for training in (True, False):
        y = block.train(training)(x)
        assert y.shape == x.shape
        assert y.isfinite().all()


@every_block
def test_takes_fewer_channels_than_the_reduction(case):
    channels = case.entry.multiple_of if case.entry.multiple_of > 1 else 3
    x = feature_map(2, channels, 4, 5)
    assert case.build(channels)(x).shape == x.shape


@every_written
def test_takes_a_batch_of_one(case):
    block, x = case.build_trained(), feature_map(1, case.channels, 5, 7)
    assert block(x).shape == x.shape
    if "needs_batch" in case.entry.flags:
        with pytest.raises(ValueError, match="batch"):
            block.train()(x)
    else:
        assert block.train()(x).shape == x.shape


@every_written
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_samples_are_independent(case, training):
    x = feature_map(3, case.channels, 4, 5)
    other = torch.cat([x[:1], feature_map(2, case.channels, 4, 5, seed=2)])
    influenced = False
    for seed in range(4):  # a single hidden relu can be off for one set of weights
        block = case.build_trained(seed=seed).train(training)
        torch.manual_seed(0)
        expected = block(x)[0]
        torch.manual_seed(0)
        actual = block(other)[0]
        if not (training and "batch_statistics" in case.entry.flags):
            assert_close(actual, expected, rtol=1e-5, atol=1e-6)
            return
        influenced |= not torch.allclose(actual, expected, rtol=1e-4, atol=1e-4)
    assert influenced, "drop the flag batch_statistics"


@every_written
def test_is_random_only_where_it_says_so(case):
    block, x = case.build_trained(), feature_map(2, case.channels, 4, 5)
    assert_close(block(x), block(x), rtol=0, atol=0)
    block.train()
    if "stochastic" in case.entry.flags:
        assert not torch.equal(block(x), block(x)), "drop the flag stochastic"
    else:
        assert_close(block(x), block(x), rtol=0, atol=0)


@every_case
def test_matches_the_paper(case):
    """Outputs and maps equal those of `tests/references/<family>.py`'s function of the block's name."""
    reference = getattr(import_module(f"tests.references.{case.entry.family}"), case.entry.name)
    block, x = case.build_trained().double(), feature_map(2, case.channels, 4, 5, dtype=torch.float64)
    for training in (False,) if "stochastic" in case.entry.flags else (False, True):
        block.train(training)
        with torch.no_grad():
            expected, *expected_maps = reference(block, x)
            with hooked(block) as maps:
                actual = block(x)
        # 1e-7: position encodings and the like are computed in float32.
        assert_close(actual, expected, rtol=1e-6, atol=1e-7)
        assert len(maps) == len(expected_maps)
        for (_, map_), expected_map in zip(maps, expected_maps, strict=True):
            assert_close(map_, expected_map, rtol=1e-6, atol=1e-7)


@every_written
def test_gradcheck(case):
    block = case.build_trained().double().train("stochastic" not in case.entry.flags)
    x = feature_map(2, case.channels, 3, 2, dtype=torch.float64).requires_grad_()
    names = [name for name, _ in block.named_parameters()]

    def run(x, *parameters):
        return functional_call(copy.deepcopy(block), dict(zip(names, parameters, strict=True)), x)

    parameters = [p.detach().requires_grad_() for p in block.parameters()]
    if "detached" in case.entry.flags and block.detach and block.memory:
        with pytest.raises(GradcheckError):
            gradcheck(run, (x, *parameters), fast_mode=True)
        block.detach = False
    assert gradcheck(run, (x, *parameters), fast_mode=True)


@every_case
def test_every_parameter_learns(case):
    learned = set()
    if not list(case.build().parameters()):
        return  # nothing to learn
    for seed in range(4):  # a single hidden relu can be off for one set of weights
        block = case.build_trained(seed=seed).train()
        x = feature_map(2, case.channels, 5, 7, seed=seed).requires_grad_()  # a block may have no parameters
        (block(x) ** 3).sum().backward()
        learned |= {name for name, p in block.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert learned == {name for name, _ in block.named_parameters()}


@every_case
def test_maps_are_what_the_catalogue_says_and_recording_changes_nothing(case):
    block, x = case.build_trained(), feature_map(2, case.channels, 5, 7).requires_grad_()
    learned = (x, *block.parameters())
    if "selects" in case.entry.flags:
        gradients = torch.autograd.grad(block(x).sum(), learned, allow_unused=True)
        assert gradients[1:] == (None,) * len(gradients[1:]), "drop the flag selects"
        block.train()
    plain = block(x)
    gradients = torch.autograd.grad(plain.square().mean(), learned)
    with hooked(block) as maps:
        observed = block(x)
    # A fused kernel rounds differently from the steps that show the map.
    assert_close(observed, plain, rtol=1e-5, atol=1e-5)
    assert_close(torch.autograd.grad(observed.square().mean(), learned), gradients, rtol=1e-4, atol=1e-5)
    assert tuple(kind for kind, _ in maps) == case.entry.maps
    # Subsampled keys lie on the coarser grid.
    size = (2, 3) if ("sub_sample", True) in case.options else (5, 7)
    for kind, map_ in maps:
        shape = map_shape(kind, 2, case.channels, *size)
        assert len(map_.shape) == len(shape)
        assert all(want in (None, size) for want, size in zip(shape, map_.shape, strict=True)), map_.shape
    if isinstance(block, Gate):
        assert_close(x * maps[0][1], plain, rtol=1e-6, atol=1e-6)


@every_block
def test_starts_at_the_gate_it_says(case):
    x = feature_map(4, case.channels, 8, 8)
    factors = []
    for seed in range(8):
        torch.manual_seed(seed)
        y = create(case.entry.name, case.channels).eval()(x)
        factors.append(((x * y).sum() / (x * x).sum()).item())
    if case.entry.gate is not None:
        assert sum(factors) / len(factors) == pytest.approx(case.entry.gate, abs=0.05)
    elif case.entry.maps and case.entry.maps[0] in ("channel", "spatial", "joint"):
        assert not isinstance(case.build(), Gate), f"say the gate at the start: {factors}"


@every_written
def test_runs_in_bf16(case):
    block, x = case.build_trained().train("selects" in case.entry.flags), feature_map(2, case.channels, 5, 7)
    expected = block(x)
    for given in (x, x.bfloat16()):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = block(given)
        error = (y.float() - expected).norm() / expected.norm()
        assert error < 0.03, f"{given.dtype} under autocast"
    y = copy.deepcopy(block).bfloat16()(x.bfloat16())
    assert y.dtype == torch.bfloat16
    assert (y.float() - expected).norm() / expected.norm() < 0.06


@every_written
def test_keeps_channels_last(case):
    block, x = case.build_trained(), feature_map(2, case.channels, 5, 7)
    expected = block(x)
    block.to(memory_format=torch.channels_last)
    y = block(x.to(memory_format=torch.channels_last))
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert_close(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", [c for c in CASES if "memory format" in c.entry.cls.forward.__doc__], ids=str)
def test_keeps_contiguous_maps_contiguous_where_it_says_so(case):
    assert case.build_trained()(feature_map(2, case.channels, 5, 7)).is_contiguous()


# Left out: blocks that then take one product for each image, instead of one for all.
@pytest.mark.parametrize("case", [c for c in CASES if c.entry.name not in ("encnet", "focused_linear")], ids=str)
def test_frozen_weights_take_the_same_way(case):
    """Rows (B, H, W, C) that lie apart become many small products, far slower, if nothing wants a gradient."""
    if torch.__version__ < "2.12" and case.entry.name in ("class_attention", "query_2d"):
        pytest.skip("torch 2.11 takes the products of a single query apart where nothing wants a gradient")
    block, x = case.build_trained(), feature_map(2, case.channels, 5, 7)

    def operators():
        with torch.no_grad(), torch.profiler.profile() as profile:
            block(x)
        return Counter(
            event.name for event in profile.events() if event.name in ("aten::mm", "aten::addmm", "aten::bmm")
        )

    free = operators()
    block.requires_grad_(False)
    assert operators() == free


@every_written
def test_copies_are_equal(case):
    block, x = case.build_trained(), feature_map(2, case.channels, 5, 7)
    fresh = case.build().eval()
    fresh.load_state_dict(block.state_dict())
    for twin in (fresh, copy.deepcopy(block), pickle.loads(pickle.dumps(block))):
        assert_close(twin(x), block(x), rtol=0, atol=0)


@every_written
def test_input_stays_as_it_is(case):
    block, x = case.build_trained().train(), feature_map(2, case.channels, 5, 7)
    before = x.clone()
    block(x)
    assert torch.equal(x, before)


@every_case
def test_cost_is_what_is_counted(case):
    block = case.build_trained()
    stated = cost({"name": case.entry.name, **dict(case.options)}, case.channels, 6, 5)
    assert stated == cost(block, case.channels, 6, 5)
    assert stated.parameters == sum(parameter.numel() for parameter in block.parameters())
    x = feature_map(1, case.channels, 6, 5)
    assert stated.products == plain_flops(block, x)
    with CountFlops() as counter, torch.no_grad():
        block(x)
    assert stated.products == counter.flops  # whatever kernel attends
    assert stated.elementwise > 0


@every_block
def test_rejects_bad_channels(case):
    for channels in (0, -8, 7.5, "8"):
        with pytest.raises(ValueError, match=r"^channels .*got channels=" + repr(channels).replace(".", r"\.")):
            create(case.entry.name, channels)


@every_block
def test_rejects_bad_options(case):
    if case.entry.multiple_of > 1:
        with pytest.raises(ValueError, match=f"channels={case.channels + 1}"):
            case.build(case.channels + 1)
    for name, parameter in list(inspect.signature(case.entry.cls).parameters.items())[1:]:
        kind = "" if name in ("device", "dtype") else str(parameter.annotation)
        for bad in [-1] * ("int" in kind) + ["nonsense"] * ("Literal" in kind or "float" in kind):
            with pytest.raises(ValueError, match=f"{name}={bad!r}"):
                create(case.entry.name, case.channels, **{name: bad})


@every_block
def test_is_written_as_agreed(case):
    channels, *options = inspect.signature(case.entry.cls).parameters.values()
    assert channels.name == "channels"
    assert [option.name for option in options[-2:]] == ["device", "dtype"]
    for option in options:
        assert option.kind is option.KEYWORD_ONLY, f"{option}: keyword-only, and no **kwargs"
        assert option.default is not option.empty, f"{option}: needs a default"
    module = inspect.getmodule(case.entry.cls)
    assert case.entry.paper in module.__doc__, "the paper's address stands at the top of the file"
    for option in options:
        assert f"        {option.name}: " in case.entry.cls.__doc__, f"document {option.name}"
    assert re.search(r"\b(19|20)\d\d\b", module.__doc__), "its year too"
    assert "Map" in case.entry.cls.__doc__
    assert "``" in case.entry.cls.__doc__.split("Args:")[0], "the equation stands in the docstring"
    assert lines_of_code(module.__file__) <= 90


def lines_of_code(path):
    """Counts the lines that are not those of docstrings."""
    source = Path(path).read_text()
    documented = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    ]
    docstrings = [node.body[0] for node in documented if ast.get_docstring(node)]
    return len(source.splitlines()) - sum(each.end_lineno - each.lineno + 1 for each in docstrings)


def test_names_are_unique():
    paths = [entry.path for entry in CATALOGUE.values()]
    assert len({path.rsplit(".", 1)[1] for path in paths}) == len(set(paths))
