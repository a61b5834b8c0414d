"""Pooled values and their gradients are those of torch's own reductions, whichever way they are computed."""

import pytest
import torch
from torch.testing import assert_close

from cv_attention.blocks.functional import pooling
from tests.blocks.cases import feature_map

FUNCTIONS = {
    "average over positions": (lambda x: pooling.average(x, (2, 3)), lambda x: x.mean((2, 3))),
    "average over rows": (lambda x: pooling.average(x, 2, keepdim=True), lambda x: x.mean(2, keepdim=True)),
    "channel_mean": (pooling.channel_mean, lambda x: x.mean(1, keepdim=True)),
    "channel_max": (pooling.channel_max, lambda x: x.amax(1, keepdim=True)),
    "spatial_max": (pooling.spatial_max, lambda x: x.amax((2, 3))),
}


@pytest.mark.parametrize("channels", [3, 24])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(("ours", "plain"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_values_and_gradients_are_torchs(ours, plain, dtype, layout, channels):
    x = feature_map(2, channels, 5, 6, dtype=dtype).contiguous(memory_format=layout)
    tolerance = {"rtol": 1e-2, "atol": 1e-2} if dtype.itemsize == 2 else {"rtol": 1e-5, "atol": 1e-6}
    assert_close(ours(x), plain(x), **tolerance)
    results = []
    for function in (ours, plain):
        leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
        y = function(leaf)
        # Where a half-precision maximum is shared, any of its elements may take the gradient: compare their sums.
        (gradient,) = torch.autograd.grad(y.float().square().sum(), leaf)
        results.append((y.detach(), gradient.float().sum((0, 2, 3)) if dtype.itemsize == 4 else gradient.float().sum()))
    assert_close(results[0], results[1], **{**tolerance, "atol": 10 * tolerance["atol"]})


@pytest.mark.parametrize("requires_grad", [False, True])
def test_an_average_in_half_precision_does_not_overflow(requires_grad):
    x = torch.full((1, 2, 64, 64), 100.0, dtype=torch.float16, requires_grad=requires_grad)
    assert pooling.average(x, (2, 3)).tolist() == [[100.0, 100.0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_an_average_keeps_the_dtype_under_autocast(dtype):
    x = feature_map(1, 2, 3, 3, dtype=dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert pooling.average(x, (2, 3)).dtype == dtype


def test_the_gradient_of_an_average_is_a_view_of_the_small_one():
    x = feature_map(2, 3, 8, 8).requires_grad_()
    (gradient,) = torch.autograd.grad(pooling.average(x, (2, 3)).sum(), x)
    assert gradient.untyped_storage().nbytes() < x.untyped_storage().nbytes()
