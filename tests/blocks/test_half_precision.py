"""Large activations in half precision: sums of squares, energies and logits leave its range if taken in it."""

import contextlib
import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from cv_attention.blocks import CATALOGUE, create
from cv_attention.blocks.functional import run_wide, widened, without_autocast
from tests.blocks.cases import CASES, feature_map, hooked
from tests.quick import quick_first

# Every pair of positions is compared, which is slow on large maps.
PAIRWISE = {entry.name for entry in CATALOGUE.values() if entry.family == "tokens"} | {
    "attention_augmented", "non_local", "disentangled_non_local", "danet_position",
}  # fmt: skip
# Products of the input with itself, or of two projections of it, whose exact value is beyond float16.
BEYOND = {"lka", "lambda_layer"}
# Queries and keys are rounded before logits of thousands: a few positions choose another key.
LIMITS = {torch.float16: 0.1, torch.bfloat16: 0.25}


def large(channels, side, scale):
    """Channels of different means, as relu makes them."""
    return (feature_map(2, channels, side, side) + feature_map(2, channels, 1, 1, seed=2)) * scale


@pytest.mark.parametrize("case", [c for c in CASES if not c.options], ids=str)
@pytest.mark.parametrize("scale", [pytest.param(1e2, marks=pytest.mark.long), 1e3])
@pytest.mark.parametrize("dtype", LIMITS, ids=str)
@pytest.mark.parametrize("autocast", quick_first([False, True]), ids=["weights", "autocast"])
def test_is_near_the_exact_result(case, scale, dtype, autocast):
    if case.entry.name in BEYOND and dtype == torch.float16:
        pytest.skip("the exact result is beyond float16")
    block = case.build(32).eval()
    x = large(32, 16 if case.entry.name in PAIRWISE else 56, scale).to(dtype)
    if not autocast:
        block = block.to(dtype)
    expected = copy.deepcopy(block).double()(x.double())
    with torch.no_grad(), torch.autocast("cpu", dtype=dtype) if autocast else contextlib.nullcontext():
        actual = block(x).double()
    assert actual.isfinite().all()
    assert (actual - expected).norm() < LIMITS[dtype] * expected.norm()


@pytest.mark.parametrize("autocast", [False, True], ids=["weights", "autocast"])
@pytest.mark.parametrize("name", ["simam", "sge", "shuffle"])
def test_gates_of_statistics_are_no_constants(name, autocast):
    block, x = create(name, 32).eval(), large(32, 56, 1e3).half()
    if hasattr(block, "weight"):  # starts at 0, which makes the gate one
        nn.init.ones_(block.weight)
    if name == "shuffle":
        nn.init.ones_(block.sweight)
    wide = copy.deepcopy(block).double()
    block = block if autocast else block.half()
    with torch.autocast("cpu", dtype=torch.float16) if autocast else contextlib.nullcontext(), hooked(block) as maps:
        block(x)
    with hooked(wide) as exact:
        wide(x.double())
    assert exact[0][1].std() > 0.02
    assert_close(maps[0][1].double(), exact[0][1], rtol=0, atol=0.01)


@pytest.mark.parametrize("name", ["mhsa", "window", "botnet", "non_local", "differential", "linear_attention"])
def test_observed_maps_are_finite_too(name):
    block = create(name, 32).eval().half()
    with hooked(block) as maps:
        block(large(32, 16, 1e3).half())
    assert all(map_.isfinite().all() for _, map_ in maps)


def test_one_block_in_bands_that_all_close():
    """Sigmoids that vanish have no sum to be divided by, their logarithms have."""
    block, x = create("bat", 32).eval(), large(32, 14, 1e2)
    nn.init.constant_(block.p.bias, -200.0)
    nn.init.constant_(block.q.bias, -200.0)
    assert_close(block(x), copy.deepcopy(block).double()(x.double()).float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("training", [False, True])
def test_run_wide_is_the_layer_in_float32(training):
    layer = nn.BatchNorm1d(8).train(training).half()
    twin, x = copy.deepcopy(layer).float(), 1e4 * torch.randn(16, 8)
    assert_close(run_wide(layer, x), twin(x))
    assert_close(layer.running_mean, twin.running_mean.half())
    assert layer.running_mean.dtype == torch.float16
    assert layer.num_batches_tracked == twin.num_batches_tracked


def test_nothing_is_cast_that_is_wide_enough():
    x, y = torch.zeros(2), torch.zeros(2, dtype=torch.float64)
    assert widened(x) is x
    assert widened(y) is y
    with torch.autocast("cpu", dtype=torch.bfloat16), without_autocast(x):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    assert isinstance(without_autocast(x), contextlib.nullcontext)
