"""Models that change their input, their buffers or the random state give the maps of models that do not."""

import inspect
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cv_attention.backbones import insert
from cv_attention.saliency import METHODS, metrics
from cv_attention.saliency.core.state import kept

X = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
SHORT = {"masks": 8, "samples": 8, "steps": 4, "iterations": 3}
OF_ATTENTION = {"block_maps", "attention_rollout", "attention_flow", "gradient_attention", "le_grad"}
METHODS_OF_CNNS = sorted(METHODS.keys() - OF_ATTENTION)


class Pure(nn.Module):
    """A small CNN with mean pooling and a linear head, behind a normalisation of the image."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 2, 1)
        self.conv2 = nn.Conv2d(8, 8, 3, 2, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 5)

    def normalised(self, x, weight):
        return (x - 0.5) / 0.25 * weight

    def forward(self, x, weight=1.0):
        x = self.normalised(x, weight)
        return self.fc(self.pool(self.conv2(self.conv1(x).relu())).flatten(1))


class InPlace(Pure):
    def normalised(self, x, weight):
        return x.sub_(0.5).div_(0.25).mul_(weight)


class OwnWeight(Pure):
    """Changes a further input, too."""

    def normalised(self, x, weight):
        x = (x - 0.5) / 0.25 * weight.clone()
        weight.zero_()
        return x


class Careless(Pure):
    """Counts its forwards, keeps a mean of its inputs, has norms of the batch, and draws random numbers."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))
        self.register_buffer("mean", torch.zeros(3))

    def normalised(self, x, weight):
        self.calls += 1
        self.mean = 0.9 * self.mean + 0.1 * x.detach().mean((0, 2, 3))
        F.batch_norm(x.detach(), self.norm.running_mean, self.norm.running_var, training=True)  # writes unseen
        F.dropout(x, 0.5)
        return super().normalised(x, weight)


def made(kind):
    torch.manual_seed(0)
    return kind().eval()


def explain(name, model, images, **options):
    takes = inspect.signature(METHODS[name]).parameters
    options |= {key: value for key, value in SHORT.items() if key in takes}
    return METHODS[name](model, images, 1, **options)


@pytest.mark.parametrize("name", METHODS_OF_CNNS)
def test_a_model_may_change_its_image(name):
    images = X.clone()
    heat = explain(name, made(InPlace), images)
    assert torch.equal(images, X)
    torch.testing.assert_close(heat, explain(name, made(Pure), X))


def test_the_gradient_of_a_model_that_changes_its_image():
    model, x = made(Pure), X.clone().requires_grad_()
    model(x)[:, 1].sum().backward()
    torch.testing.assert_close(explain("gradient", made(InPlace), X), x.grad.abs().amax(1, keepdim=True))


@pytest.mark.parametrize("name", ["grad_cam", "occlusion", "rise", "integrated_gradients", "lrp", "deep_lift"])
def test_a_model_may_change_further_inputs(name):
    weight = torch.full((2, 1, 1, 1), 1.5)
    heat = explain(name, made(OwnWeight), X, forward_args=(weight,))
    assert bool((weight == 1.5).all())
    torch.testing.assert_close(heat, explain(name, made(Pure), X, forward_args=(torch.full((2, 1, 1, 1), 1.5),)))


def test_measures_of_a_model_that_changes_its_image():
    heat, images = torch.rand(2, 1, 32, 32), X.clone()
    found = metrics.deletion_auc(made(InPlace), images, heat, 1)
    assert torch.equal(images, X)
    torch.testing.assert_close(found.auc, metrics.deletion_auc(made(Pure), X, heat, 1).auc)


@pytest.mark.parametrize("name", METHODS_OF_CNNS)
def test_buffers_and_random_state_are_left_alone(name):
    model = made(Careless)
    before, random = {key: value.clone() for key, value in model.state_dict().items()}, torch.get_rng_state()
    buffers = dict(model.named_buffers())
    explain(name, model, X)
    assert torch.equal(torch.get_rng_state(), random)
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert all(buffer is buffers[key] for key, buffer in model.named_buffers())


def test_buffers_are_left_alone_by_threads_that_share_a_model():
    model = made(Careless)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda seed: explain("grad_cam", model, X + seed), range(6)))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_the_random_state_is_that_before_the_first_of_several_models():
    """It is one for the process: what the second restores must not be what the first had drawn."""
    first, second, before = kept(nn.Linear(2, 2)), kept(nn.Linear(2, 2)), torch.get_rng_state()
    first.__enter__()
    torch.rand(3)
    second.__enter__()
    first.__exit__(None, None, None)
    torch.rand(3)
    second.__exit__(None, None, None)
    assert torch.equal(torch.get_rng_state(), before)


def test_buffers_that_stay_the_same_are_not_written():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model.eval()
    loss = model(X).sum()  # whose backward needs the statistics
    explain("grad_cam", model, X)
    loss.backward()


def test_insertion_leaves_buffers_that_are_written_unseen():
    model = made(Careless)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    insert(model, "se", "conv2", input_size=32)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items() if key in before)
