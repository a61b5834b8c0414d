"""The backbone `glimpse`: its retina, its forward in plain loops, what each policy learns from."""

import pytest
import torch
from torch.testing import assert_close

import cv_attention as cva
from cv_attention.backbones import build
from cv_attention.backbones.models.retina import glimpse, sample, window
from cv_attention.training import Reinforce, draws_of
from tests.references import glimpses

POLICIES = ["pathwise", "reinforce", "random"]


def small(seed=0, **options):
    torch.manual_seed(seed)
    model = build("glimpse", num_classes=3, **{"patch": 2, "scales": 2, "steps": 3, "width": 6, **options})
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model.eval().double()


def images(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def crop(image, x, y, side):
    """The explicit crop (C, side, side) whose upper left pixel is (x, y); zeros outside."""
    padded = torch.nn.functional.pad(image, (side, side, side, side))
    return padded[:, y + side : y + 2 * side, x + side : x + 2 * side]


@pytest.mark.parametrize(("x", "y"), [(8, 6), (3, 11), (0, 0), (20, 16)])
def test_whole_pixels_are_explicit_crops(x, y):
    """A patch of even width around the corner between pixels; wider ones are means of 2×2 and 4×4 pixels."""
    image = images(3, 16, 20)
    place = torch.tensor([[2 * x / 20 - 1, 2 * y / 16 - 1]], dtype=torch.float64)
    found = glimpse(image[None], place, patch=4, scales=3)[0]
    for scale, side in enumerate((4, 8, 16)):
        seen = crop(image, x - side // 2, y - side // 2, side)
        expected = seen.unflatten(1, (4, -1)).unflatten(3, (4, -1)).mean((2, 4))
        assert_close(found[scale], expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("patch", [3, 4])
def test_the_retina_is_that_of_plain_loops(patch):
    image = images(2, 7, 10)
    for place in ([0.13, -0.4], [-1.0, 1.0], [0.9, 0.95]):
        found = glimpse(image[None], torch.tensor([place], dtype=torch.float64), patch, scales=2)[0]
        assert_close(found, glimpses.retina(image, place, patch, 2), atol=1e-12, rtol=0)


def test_coarser_numbers_are_means_of_squares():
    image = images(1, 3, 16, 20)
    centre = torch.zeros(1, 2, dtype=torch.float64)
    coarse = glimpse(image, centre, patch=2, scales=2, finest=4)[0]
    for scale, side in enumerate((8, 16)):
        seen = crop(image[0], 10 - side // 2, 8 - side // 2, side)
        assert_close(coarse[scale], seen.unflatten(1, (2, -1)).unflatten(3, (2, -1)).mean((2, 4)))


def test_attention_over_the_patches_points_where_the_equations_say():
    """v . tanh(W f + U h) at every position of every patch; the widest patch's mean position is the next place."""
    model, batch = small(policy="pathwise", encoder="attention", patch=6, scales=2, steps=2), images(1, 3, 24, 32)
    encoder, state = model.what, images(1, 6, seed=3)
    seen = glimpse(batch, torch.tensor([[0.2, -0.1]], dtype=torch.float64), 6, 2)
    what, offset = encoder(seen, state, False)
    numbers = []
    for scale in range(2):
        features = encoder.layers(seen[:, scale])[0]
        height, width = features.shape[1:]
        scores, places = [], []
        for row in range(height):
            for column in range(width):
                key = encoder.key.weight[:, :, 0, 0] @ features[:, row, column] + encoder.key.bias
                scores.append(encoder.v @ (key + encoder.query.weight @ state[0]).tanh())
                places.append([(column + 0.5) / width * 2 - 1, (row + 0.5) / height * 2 - 1])
        weights = torch.stack(scores).exp() / torch.stack(scores).exp().sum()
        where = weights @ torch.tensor(places, dtype=torch.float64)
        numbers += [features.flatten(1) @ weights, where]
    assert_close(offset[0], where)
    assert_close(what[0], (encoder.out.weight @ torch.cat(numbers) + encoder.out.bias).relu())
    with cva.record(model) as maps:
        model(batch)
    places = maps["places"].values
    state, pointed = model._look(batch, places[:, 0], torch.zeros(1, 6, dtype=torch.float64))
    assert_close(places[:, 1], pointed.clamp(-1, 1))


def test_sampling_is_torchs_affine_grid():
    image, theta = images(2, 3, 9, 12), images(2, 2, 3, seed=2)
    grid = torch.nn.functional.affine_grid(theta, [2, 3, 5, 5], align_corners=False)
    expected = torch.nn.functional.grid_sample(image, grid, align_corners=False)
    assert_close(sample(image, theta, 5), expected)
    places = torch.tensor([[0.5, -0.25]])
    assert window(places, (0.5, 0.25)).tolist() == [[[0.5, 0.0, 0.5], [0.0, 0.25, -0.25]]]


@pytest.mark.parametrize("policy", POLICIES)
def test_the_forward_is_that_of_plain_loops(policy):
    model, batch = small(policy=policy), images(2, 3, 9, 12)
    with cva.record(model) as maps:
        logits = model(batch)
    for i in range(2):
        given = model.fixed.tolist() if policy == "random" else None
        expected, places = glimpses.forward(model, batch[i], given)
        assert_close(logits[i], torch.tensor(expected, dtype=torch.float64))
        assert_close(maps["places"].values[i], torch.tensor(places, dtype=torch.float64))


def test_reinforce_estimates_the_gradient_of_the_expected_reward():
    """The expectation over the one sampled place by quadrature, its gradient by finite differences."""
    model = small(policy="reinforce", steps=2, sigma=0.3, reward="log_probability").train()
    image, label, first = images(1, 3, 6, 6), torch.tensor([1]), torch.tensor([0.1, -0.3], dtype=torch.float64)
    bias = model.locator[2].bias

    def gained(places):  # (N,) rewards after glimpses at `first` and then at `places` (N, 2)
        many, state = image.expand(len(places), -1, -1, -1), image.new_zeros(len(places), 6)
        for place in (first.expand(len(places), 2), places):
            state, _ = model._look(many, place, state)
        return model.fc(state).log_softmax(1)[:, 1]

    ticks = torch.linspace(-2.4, 2.4, 241, dtype=torch.float64)
    grid = torch.cartesian_prod(ticks, ticks)
    with torch.no_grad():
        rewards = gained(grid.clamp(-1, 1))
        state, _ = model._look(image, first[None], image.new_zeros(1, 6))

        def expectation():
            mean = model.locator(state)
            logarithms = -((grid - mean) / 0.3).square().sum(1) / 2
            return (logarithms.softmax(0) * rewards).sum()

        model.baseline.bias.fill_(expectation().item())  # any baseline would do; this one keeps the noise small
        model.baseline.weight.zero_()
        exact = torch.zeros(2, dtype=torch.float64)
        for axis in range(2):
            values = []
            for step in (1e-4, -1e-4):
                bias[axis] += step
                values.append(expectation())
                bias[axis] -= step
            exact[axis] = (values[0] - values[1]) / 2e-4

    count = 40_000
    noise = torch.randn(count, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise[:, 0] = first
    model.places.noise = lambda *_: noise
    with draws_of(model) as drawn:
        logits = model(image.expand(count, -1, -1, -1))
    loss = Reinforce().loss(drawn, logits, label.expand(count))
    found = -torch.autograd.grad(loss, bias)[0]
    assert_close(found, exact, atol=0.04 * float(exact.abs().max()), rtol=0)


def taught(model, loss):
    """The names of the parts that get a gradient from a loss."""
    found = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True, retain_graph=True)
    named = zip(model.named_parameters(), found, strict=True)
    return {name.partition(".")[0] for (name, _), gradient in named if gradient is not None and gradient.any()}


def test_each_loss_teaches_what_it_should():
    """REINFORCE: the classes' loss stops at sampled places; locator and baseline do not change what the state is."""
    reader = {"what", "where", "join", "recur", "enter", "fc"}
    for policy, of_classes in (("reinforce", reader), ("pathwise", reader | {"locator"}), ("random", reader)):
        model = small(policy=policy).train()
        with draws_of(model) as drawn:
            logits = model(images(4, 3, 9, 9))
        assert taught(model, logits.square().sum()) == of_classes
        of_rewards = Reinforce().loss(drawn, logits, torch.tensor([0, 1, 2, 0]))
        if policy == "reinforce":
            assert taught(model, of_rewards) == {"locator", "baseline"}
        else:
            assert not of_rewards.requires_grad


def test_the_loss_of_rewards_by_hand():
    model, labels = small(policy="reinforce", sigma=0.2).train(), torch.tensor([0, 2])
    with draws_of(model) as drawn:
        logits = model(images(2, 3, 9, 9))
    [one] = drawn
    assert (
        one.log_probability.shape == one.baseline.shape == (2, 2)
    )  # the network does not choose the first of three places
    reinforce, expected = Reinforce(), 0.0
    for i in range(2):
        reward = float(logits[i].argmax() == labels[i])
        for step in range(2):
            baseline, chance = one.baseline[i, step].item(), one.log_probability[i, step].item()
            expected += (-(reward - baseline) * chance + (baseline - reward) ** 2) / 2
    assert reinforce.loss(drawn, logits, labels).item() == pytest.approx(expected, rel=1e-6)
    assert reinforce.baselines == {}  # no moving mean is used


def test_how_far_from_the_centre_training_starts():
    model = small(policy="pathwise", start=0.25).train()
    with cva.record(model) as maps:
        model(images(500, 3, 9, 9))
    assert 0.24 < maps["places"].values[:, 0].abs().max() <= 0.25


def test_training_starts_anywhere_and_evaluation_in_the_centre():
    model = small(policy="pathwise", sigma=0.0)
    with cva.record(model) as maps:
        model(images(3, 3, 9, 9))
    assert not maps["places"].values[:, 0].any()
    with cva.record(model.train()) as maps:
        model(images(500, 3, 9, 9))
    assert_close(maps["places"].values[:, 0].var(0), torch.full((2,), 1 / 3, dtype=torch.float64), atol=0.06, rtol=0)


@pytest.mark.parametrize("policy", POLICIES)
def test_evaluation_is_not_random_and_images_do_not_depend_on_each_other(policy):
    model, batch = small(policy=policy), images(3, 3, 9, 12)
    together = model(batch)
    assert torch.equal(model(batch), together)
    for i in range(3):
        assert_close(model(batch[i : i + 1]), together[i : i + 1])
    with torch.no_grad(), cva.record(model) as maps:
        assert torch.equal(model(batch), together)
    again = small(seed=5, policy=policy)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(batch), together)
    assert list(maps) == ["places"]
    assert maps["places"].values.shape == (3, 3, 2)
