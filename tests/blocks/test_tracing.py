"""`torch.jit.trace` records every block as it is, with and without gradients."""

import warnings

import pytest
import torch
from torch.testing import assert_close

from tests.blocks.cases import OPTIONS_LONG, feature_map
from tests.quick import quick_first


def traced(block, x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch deprecates it
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # sizes become constants
        torch.manual_seed(1)
        return torch.jit.trace(block, x, check_trace=True, _force_outplace=False)


@pytest.mark.parametrize("training", quick_first([False, True]), ids=["eval", "train"])
@pytest.mark.parametrize("case", OPTIONS_LONG, ids=str)
def test_traces(case, training):
    block, x = case.build_trained().train(training), feature_map(2, case.channels, 8, 8)
    graph = traced(block, x)
    other = feature_map(2, case.channels, 8, 8, seed=5).requires_grad_()
    outputs, gradients = [], []
    for module in (block, graph):
        torch.manual_seed(2)
        y = module(other)
        outputs.append(y)
        gradients.append(torch.autograd.grad(y.square().sum(), other)[0])
        torch.manual_seed(2)
        with torch.no_grad():
            outputs.append(module(other.detach()))
    for y in outputs[1:]:
        assert_close(y, outputs[0], rtol=1e-4, atol=1e-5)
    assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-5)
