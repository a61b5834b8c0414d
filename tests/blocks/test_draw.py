"""`Draw` and hard pooling: what is sampled, how often, and where the gradient comes from."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from cv_attention import blocks, insert
from cv_attention.blocks import Draw, HardPool
from tests.blocks.cases import feature_map

SCORES = torch.tensor([[[0.3, -1.0, 0.9, -torch.inf, 0.1]]])


def seen_by_hook(draw):
    found = []
    draw.register_forward_hook(lambda module, given, output: found.append((*given, output)))
    return found


def test_samples_follow_the_softmax():
    torch.manual_seed(0)
    counts = Draw().choose(SCORES.expand(40_000, 2, -1)).sum(0) / 40_000
    assert_close(counts, SCORES[0].softmax(-1).expand(2, -1), atol=0.01, rtol=0)
    assert (counts[:, 3] == 0).all()


@pytest.mark.parametrize("estimator", ["gumbel", "reinforce"])
def test_hooks_see_sample_log_probability_and_entropy(estimator):
    draw = Draw(estimator)
    found = seen_by_hook(draw)
    scores = torch.stack([SCORES[0], SCORES[0].flip(-1)], 1).expand(6, -1, -1)
    sample = draw.choose(scores)
    assert sorted(sample.flatten().tolist()) == [0.0] * 48 + [1.0] * 12
    [(given, log_probability, entropy, passed)] = found
    assert passed is given
    assert torch.equal(given, sample)
    probabilities = scores.softmax(-1)
    for image in range(6):
        chosen = [probabilities[image, head, sample[image, head].argmax()] for head in range(2)]
        assert_close(log_probability[image], (chosen[0] * chosen[1]).log())
        entropies = [-sum(p * p.log() for p in probabilities[image, head] if p > 0) for head in range(2)]
        assert_close(entropy[image], entropies[0] + entropies[1])


def test_straight_through_has_the_gradient_of_the_soft_sample():
    scores, target = torch.randn(3, 2, 5, requires_grad=True), torch.randn(3, 2, 5)
    draw = Draw(temperature=0.7)
    draw.reseed(4)
    (draw.choose(scores) * target).sum().backward()
    uniform = torch.rand(3, 2, 6, generator=torch.Generator().manual_seed(4))[..., :5]
    again = scores.detach().requires_grad_()
    soft = ((again - torch.log(-torch.log(uniform))) / 0.7).softmax(-1)
    (soft * target).sum().backward()
    assert_close(scores.grad, again.grad)
    assert scores.grad.abs().max() > 0.01


def test_a_seed_decides_alone_and_every_draw_of_a_forward_differs():
    draw, scores = Draw(), torch.zeros(8, 1, 50)
    draw.reseed(1)
    first, second = draw.choose(scores), draw.choose(scores)
    assert not torch.equal(first, second)
    state = torch.get_rng_state()
    draw.reseed(1)
    assert torch.equal(draw.choose(scores), first)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(copy.deepcopy(draw).choose(scores), second)  # a copy continues


def test_the_soft_chance():
    draw, scores = Draw("reinforce"), SCORES.expand(4000, -1, -1)
    found = seen_by_hook(draw)
    torch.manual_seed(0)
    weights = draw.choose(scores, 0.25)
    soft = (weights == SCORES.softmax(-1)).all(-1)[:, 0]
    assert abs(soft.float().mean() - 0.25) < 0.02
    assert (weights[~soft].amax(-1) == 1).all()
    assert torch.equal(found[0][1] == 0, soft)  # a soft image has drawn nothing


def test_nothing_drawn_where_a_score_is_minus_infinity_harms_the_gradient():
    scores = SCORES.clone().requires_grad_()
    for draw in (Draw(), Draw("reinforce"), Draw("reinforce").eval()):
        found = seen_by_hook(draw)
        weights = draw.choose(scores)
        sum(part.sum() for part in (weights, found[0][1], found[0][2])).backward()
        assert scores.grad.isfinite().all()


def test_a_fresh_hard_pooling_keeps_a_network_to_the_bit():
    model = blocks_at_the_end()
    x = feature_map(2, 3, 14, 14)
    before = model(x)
    insert(model, "hard", at="pool", input_size=14)
    assert torch.equal(model(x), before)
    assert torch.equal(model.train()(x), before)


def blocks_at_the_end():
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    return nn.Sequential(*layers).eval()


@pytest.mark.parametrize("estimator", ["gumbel", "reinforce"])
def test_hard_pooling_gives_the_features_of_one_position(estimator):
    block = HardPool(8, estimator=estimator, warmup=0).train()
    x = feature_map(5, 8, 4, 6)
    pooled = block(x).mean((2, 3))
    distances = (x.flatten(2) - pooled[..., None]).abs().amax(1)
    assert (distances.amin(1) < 1e-6).all()
    nn.init.normal_(block.v)
    best = block.scores(x)[:, 0].argmax(1)
    assert_close(block.eval()(x).mean((2, 3)), x.flatten(2)[torch.arange(5), :, best])


def test_only_the_warmup_is_soft():
    block, x = HardPool(8), feature_map(2, 8, 4, 6)
    nn.init.normal_(block.v)
    soft = blocks.AdditivePool(8)
    soft.load_state_dict(block.state_dict())
    assert torch.equal(block(x), soft(x))
    assert not torch.equal(block.eval()(x), soft(x))
    block.train().soft = False
    assert ((block(x) != 0).flatten(2).any(1).sum(1) == 1).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"estimator": "reinforc"}, "did you mean 'reinforce'"),
        ({"reward": "loss"}, "reward must be one of 'log_probability', 'correct'"),
        ({"temperature": 0}, "temperature must be a positive number"),
        ({"warmup": 1.5}, r"warmup must be in \[0, 1\], got warmup=1.5"),
        ({"soft_chance": -0.1}, r"soft_chance must be in \[0, 1\]"),
        ({"entropy": "a"}, "entropy must be a number"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(ValueError, match=words):
        HardPool(8, **options)
