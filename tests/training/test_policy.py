"""Hard attention in training: REINFORCE against the exact gradient, seeds, warm-up, resuming, collapse."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from cv_attention.blocks import HardPool
from cv_attention.cli import main
from cv_attention.training import Reinforce, draws_of
from cv_attention.training.callbacks.sampling import CollapseWarning, Sampling

IMAGES = 60_000


def network(reward, entropy=0.0):
    torch.manual_seed(0)
    block = HardPool(4, width=3, estimator="reinforce", reward=reward, entropy=entropy, warmup=0)
    nn.init.normal_(block.v)
    return nn.Sequential(block, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).double()


@pytest.mark.parametrize("reward", ["log_probability", "correct"])
def test_the_mean_is_the_gradient_of_the_expected_reward(reward):
    """The expectation over all six positions, by enumeration; the samples are of one image, drawn many times."""
    model, label = network(reward, entropy=0.3), torch.tensor([1])
    block, head = model[0], model[3]
    image = torch.randn(1, 4, 2, 3, dtype=torch.float64)

    probabilities = block.scores(image)[0, 0].softmax(0)
    expected = torch.zeros((), dtype=torch.float64)
    for position in range(6):
        logits = head(image.flatten(2)[0, :, position])
        gained = logits.log_softmax(0)[1] if reward == "log_probability" else (logits.argmax() == 1).double()
        expected = expected + probabilities[position] * gained.detach()
    objective = expected - 0.3 * (probabilities * probabilities.log()).sum()
    exact = torch.autograd.grad(-objective, [block.v, block.key.weight])

    reinforce = Reinforce()
    reinforce.baselines[reward] = torch.tensor(-0.4)
    with draws_of(model) as drawn:
        logits = model(image.expand(IMAGES, -1, -1, -1))
    loss = reinforce.loss(drawn, logits, label.expand(IMAGES))
    found = torch.autograd.grad(loss, [block.v, block.key.weight])
    for ours, theirs in zip(found, exact, strict=True):
        assert_close(ours, theirs, atol=0.02 * float(theirs.abs().max()), rtol=0)


def test_the_baseline_moves_and_rewards_carry_no_gradient():
    model, labels = network("correct"), torch.tensor([0, 1])
    reinforce = Reinforce()
    rewards = []
    for _ in range(3):
        with draws_of(model) as drawn:
            logits = model(torch.randn(2, 4, 2, 3, dtype=torch.float64))
        reinforce.loss(drawn, logits, labels).backward()
        rewards.append(float((logits.argmax(1) == labels).float().mean()))
    expected = rewards[0]  # the first batch's own mean
    for reward in rewards:
        expected = 0.9 * expected + 0.1 * reward
    assert float(reinforce.baselines["correct"]) == pytest.approx(expected, abs=1e-6)
    assert model[3].weight.grad is None or not model[3].weight.grad.any()
    again = Reinforce()
    again.load_state_dict(reinforce.state_dict())
    assert torch.equal(again.baselines["correct"], reinforce.baselines["correct"].float())


def test_the_loss_by_hand_with_shares_of_classes():
    model = network("log_probability", entropy=0.5)
    labels = torch.tensor([[0.7, 0.3, 0.0], [0.0, 0.0, 1.0]])
    reinforce = Reinforce()
    reinforce.baselines["log_probability"] = torch.tensor(-1.0)
    with draws_of(model) as drawn:
        logits = model(torch.randn(2, 4, 2, 3, dtype=torch.float64))
    [one] = drawn
    terms = []
    for i in range(2):
        reward = sum(float(labels[i, c]) * logits[i].log_softmax(0)[c].item() for c in range(3))
        terms.append(-(reward + 1.0) * one.log_probability[i].item() - 0.5 * one.entropy[i].item())
    assert reinforce.loss(drawn, logits, labels).item() == pytest.approx(sum(terms) / 2, rel=1e-5)


def test_gumbel_and_the_warmup_add_nothing():
    model = network("correct")
    model[0].soft = True
    images, labels = torch.randn(2, 4, 2, 3, dtype=torch.float64), torch.tensor([0, 1])
    with draws_of(model) as drawn:
        logits = model(images)
    assert drawn == []
    assert Reinforce().loss(drawn, logits, labels) == 0
    gumbel = nn.Sequential(HardPool(4, warmup=0), nn.AdaptiveAvgPool2d(1), nn.Flatten()).double()
    with draws_of(gumbel) as drawn:
        logits = gumbel(images)
    assert len(drawn) == 1
    assert Reinforce().loss(drawn, logits, labels) == 0
    assert not gumbel[0].draw._forward_hooks


def trainer(epoch=0, rank=0, lines=None):
    bar = SimpleNamespace(print=(lines if lines is not None else []).append)
    return SimpleNamespace(
        current_epoch=epoch, max_epochs=4, num_training_batches=10, global_rank=rank, is_global_zero=rank == 0,
        progress_bar_callback=bar, state=SimpleNamespace(fn="fit"),
    )  # fmt: skip


def test_samples_depend_on_seed_epoch_batch_and_process_alone():
    block = HardPool(4, warmup=0)
    images, module = torch.randn(6, 4, 8, 8), SimpleNamespace(network=nn.ModuleList([block]))

    def drawn(seed=0, epoch=0, batch=0, rank=0):
        Sampling(seed).on_train_batch_start(trainer(epoch, rank), module, None, batch)
        return block(images)

    first = drawn()
    torch.manual_seed(1)
    assert torch.equal(drawn(), first)
    for other in ({"seed": 1}, {"epoch": 1}, {"batch": 1}, {"rank": 1}):
        assert not torch.equal(drawn(**other), first)


def test_the_warmup_ends_in_its_batch():
    block = HardPool(4, warmup=0.3)
    module = SimpleNamespace(network=nn.ModuleList([block]))
    soft = []
    for epoch in range(4):
        for batch in range(10):
            Sampling(0).on_train_batch_start(trainer(epoch), module, None, batch)
            soft.append(block.soft)
    assert soft == [True] * 12 + [False] * 28


@pytest.mark.parametrize(("epoch", "same", "warned"), [(1, 30, False), (2, 30, True), (2, 28, False)])
def test_collapse_is_warned_of_after_the_warmup(epoch, same, warned):
    block = HardPool(4).eval()
    module, lines = SimpleNamespace(network=nn.ModuleList([block])), []
    callback, running = CollapseWarning(), trainer(epoch, lines=lines)
    for _ in range(2):  # and once
        callback.on_validation_start(running, module)
        images = torch.zeros(30, 4, 4, 4)
        images[:same, :, 2, 1] = 1
        images[same:, :, 0, 3] = 1
        nn.init.ones_(block.v)
        nn.init.ones_(block.key.weight)
        block(images)
        callback.on_validation_end(running, module)
    assert len(lines) == warned
    assert not warned or "0 looks at the same position of 100 % of the validation images" in lines[0]
    assert not block.map._forward_hooks


@pytest.mark.long
@pytest.mark.parametrize("estimator", ["gumbel", "reinforce"])
def test_a_resumed_run_draws_the_same(tmp_path, tiny_options, estimator):
    block = f"--model.block={{name: hard, estimator: {estimator}, warmup: 0, soft_chance: 0.3}}"
    options = [*tiny_options, block, "--model.at=pool", "--trainer.max_epochs=3", "--optimizer.schedule=null"]
    options += ["--model.backbone=convnet", "--model.options={widths: [8, 8], strides: [2, 2]}"]
    options += [f"--log.root={tmp_path}", "--log.maps_every=0"]
    assert main(["fit", *options, "--log.name=whole"]) == 0
    assert main(["fit", *options, "--log.name=part", "--trainer.max_epochs=2"]) == 0
    assert main(["fit", "--resume", str(tmp_path / "part"), "--trainer.max_epochs=3"]) == 0
    whole, part = (
        torch.load(tmp_path / name / "checkpoints/last.ckpt", weights_only=True) for name in ("whole", "part")
    )
    for key, value in whole["state_dict"].items():
        assert torch.equal(part["state_dict"][key], value), key
    assert part["baselines"] == whole["baselines"]
    assert (estimator == "reinforce") == bool(whole["baselines"])
