"""Saliency of a character, against the gradient of its logit written by hand."""

import pytest
import torch

import cv_attention as cva


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    reader = cva.backbones.reader(cva.backbones.build("convnet", widths=[8, 12], strides=[2, 2]), input_size=(16, 32))
    return cva.heads.build(reader, {"name": "gru", "width": 16}, tokens="abc", longest=3).eval()


@pytest.mark.parametrize("step", [0, 2])
def test_gradients_are_those_of_the_logit(network, step):
    images = torch.randn(2, 3, 16, 32, requires_grad=True)
    logits = network(images)[:, step]
    [gradient] = torch.autograd.grad(logits.amax(1).sum(), images)
    expected = (gradient * images).detach()
    found = cva.saliency.input_x_gradient(cva.heads.StepLogits(network, step), images.detach())
    assert found.shape == (2, 1, 16, 32)
    summed = [expected.sum(1, keepdim=True), expected.abs().sum(1, keepdim=True), expected.abs().amax(1, keepdim=True)]
    assert any(torch.allclose(found, each, atol=1e-6) for each in summed)


@pytest.mark.parametrize("method", ["grad_cam", "integrated_gradients", "occlusion"])
def test_other_methods_explain_a_step(network, method):
    heat = getattr(cva.saliency, method)(cva.heads.StepLogits(network, 1), torch.randn(2, 3, 16, 32), 2)
    assert heat.shape == (2, 1, 16, 32)
    assert heat.isfinite().all()
    assert heat.any()


@pytest.mark.parametrize("step", [-1, 4])
def test_steps_that_are_not_there_are_named(network, step):
    with pytest.raises(ValueError, match=f"step must be 0 to 3, got {step}"):
        cva.heads.StepLogits(network, step)
