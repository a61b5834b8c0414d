"""`PlaceDraw`: distribution, gradient and log-probability of sampled places."""

import math

import pytest
import torch
from torch.testing import assert_close

from cv_attention import record
from cv_attention.blocks import PlaceDraw


def test_noise_is_uniform_first_and_normal_then():
    draw = PlaceDraw()
    draw.reseed(0)
    noise = draw.noise(20_000, 3, torch.zeros(1))
    assert noise[:, 0].abs().max() <= 1
    assert_close(noise[:, 0].var(0), torch.full((2,), 1 / 3), atol=0.01, rtol=0)
    assert_close(noise[:, 1:].var(0), torch.ones(2, 2), atol=0.05, rtol=0)
    assert_close(noise.mean(0), torch.zeros(3, 2), atol=0.03, rtol=0)


def test_seeds_decide_alone():
    draw = PlaceDraw()
    draw.reseed(7)
    first, second = draw.noise(2, 3, torch.zeros(1)), draw.noise(2, 3, torch.zeros(1))
    assert not torch.equal(first, second)
    draw.reseed(7)
    torch.manual_seed(123)
    assert torch.equal(draw.noise(2, 3, torch.zeros(1)), first)


def test_log_probability_is_that_of_the_sample_before_it_is_moved_to_the_edge():
    draw = PlaceDraw("reinforce", sigma=0.3)
    mean = torch.tensor([[0.95, -0.2]], requires_grad=True)
    place, log_probability = draw.choose(mean, torch.tensor([[1.0, -0.5]]))
    assert place.tolist() == [[1.0, pytest.approx(-0.35)]]
    normal = torch.distributions.Normal(mean, 0.3)
    expected = normal.log_prob(torch.tensor([[1.25, -0.35]])).sum(1)
    assert_close(log_probability, expected)
    [gradient] = torch.autograd.grad(log_probability.sum(), mean)
    assert_close(gradient, torch.tensor([[1.0, -0.5]]) / 0.3)  # noise / sigma, not that of the moved sample
    assert not place.requires_grad


def test_pathwise_samples_carry_the_gradient_of_their_mean():
    draw, mean = PlaceDraw("pathwise", sigma=0.1), torch.zeros(1, 2, requires_grad=True)
    place, log_probability = draw.choose(mean, torch.tensor([[2.0, -1.0]]))
    assert_close(place.detach(), torch.tensor([[0.2, -0.1]]))
    assert torch.autograd.grad(place.sum(), mean)[0].tolist() == [[1.0, 1.0]]
    assert log_probability.tolist() == [0.0]


def test_random_places_ignore_the_mean():
    draw = PlaceDraw("random")
    place, _ = draw.choose(torch.zeros(1, 2), torch.tensor([[0.7, -0.7]]))
    assert place.tolist() == [[pytest.approx(0.7), pytest.approx(-0.7)]]
    assert draw.noise(4000, 2, torch.zeros(1)).abs().max() <= 1


@pytest.mark.parametrize("policy", ["reinforce", "pathwise"])
def test_evaluation_takes_the_mean(policy):
    draw, mean = PlaceDraw(policy).eval(), torch.tensor([[0.3, 0.4]])
    assert torch.equal(draw.choose(mean, torch.ones(1, 2))[0], mean)


@pytest.mark.parametrize("sigma", [math.nan, math.inf, -0.1, 1.5, "0.1", None, True])
def test_hostile_sigmas(sigma):
    with pytest.raises(ValueError, match="sigma must be a number from 0 to 1, got sigma="):
        PlaceDraw(sigma=sigma)


def test_other_wrong_arguments():
    with pytest.raises(ValueError, match="sigma must be above 0"):
        PlaceDraw("reinforce", sigma=0)
    assert PlaceDraw("pathwise", sigma=0).sigma == 0
    with pytest.raises(ValueError, match=r"policy must be one of .* did you mean 'reinforce'"):
        PlaceDraw("reinfroce")
    with pytest.raises(ValueError, match="reward must be one of"):
        PlaceDraw(reward="loss")


def test_record_shows_places_and_leaves_no_hook():
    draw, places = PlaceDraw(), torch.rand(2, 3, 2)
    extents = torch.full((2, 3, 1, 2), 0.5)
    with record(draw) as maps:
        assert draw(places, torch.zeros(2, 2), torch.zeros(2), None, extents) is places
    assert maps[""].kind == "places"
    assert torch.equal(maps[""].values, places)
    assert torch.equal(maps[""].extents, extents)
    assert not draw._forward_hooks
