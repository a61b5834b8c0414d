"""Mixup, CutMix, progressive resolution, moving average, accumulation and clipping against plain arithmetic."""

from types import SimpleNamespace

import lightning
import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from cv_attention.config import Data, Experiment
from cv_attention.config import Optimizer as OptimizerConfig
from cv_attention.rundir.facts import DataFacts
from cv_attention.training.callbacks.averaging import MovingAverage
from cv_attention.training.callbacks.mixing import Mixing
from cv_attention.training.callbacks.resizing import ProgressiveSize
from cv_attention.training.callbacks.techniques import techniques
from cv_attention.training.tasks.classifier import Classifier

MODULE = lightning.LightningModule()


def batch(size=6, side=8):
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (size, 3, side, side), dtype=torch.uint8, generator=generator)
    return {"image": images.contiguous(memory_format=torch.channels_last), "label": torch.arange(size) % 4}


def trainer(epoch=0, rank=0):
    return SimpleNamespace(current_epoch=epoch, global_rank=rank)


def mixed(data, epoch=0, step=0, rank=0, seed=3):
    found = batch()
    Mixing(data, 4, seed).on_train_batch_start(trainer(epoch, rank), MODULE, found, step)  # pyright: ignore
    return found


def test_mixup_blends_images_and_labels_alike():
    before, after = batch(), mixed(Data(mixup=1.0))
    first, second = torch.eye(4)[before["label"]], torch.eye(4)[before["label"].roll(1)]
    share = after["label"][0, before["label"][0]].item()  # no neighbour has the same label
    assert 0 < share < 1
    torch.testing.assert_close(after["label"], share * first + (1 - share) * second)
    expected = share * before["image"].float() + (1 - share) * before["image"].roll(1, 0).float()
    torch.testing.assert_close(after["image"], expected, rtol=0, atol=1e-3)


def test_cutmix_pastes_a_box_and_the_labels_tell_its_size():
    data = Data(cutmix=1.0)
    sizes = set()
    for step in range(8):
        before, after = batch(), mixed(data, step=step)
        own = (after["image"] == before["image"].float()).all(1)
        other = (after["image"] == before["image"].roll(1, 0).float()).all(1)
        assert (own | other).all()
        pasted = ~own[0]
        rows, columns = pasted.any(1).nonzero(), pasted.any(0).nonzero()
        if len(rows):
            assert pasted.sum() == (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
        share = 1 - pasted.float().mean().item()
        assert after["label"][0, before["label"][0]].item() == pytest.approx(share)
        sizes.add(share)
    assert len(sizes) > 3


def test_mixing_depends_on_its_key_alone_and_draws_from_nobody():
    data = Data(mixup=0.4, cutmix=1.0)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = mixed(data, epoch=2, step=5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(7)
    assert torch.equal(first["image"], mixed(data, epoch=2, step=5)["image"])
    for other in ({"epoch": 3, "step": 5}, {"epoch": 2, "step": 6}, {"epoch": 2, "step": 5, "rank": 1}):
        assert not torch.equal(first["image"], mixed(data, **other)["image"])


def test_mixup_and_cutmix_take_turns():
    pasted = [bool((mixed(Data(mixup=1.0, cutmix=1.0), step=s)["image"] % 1 == 0).all()) for s in range(40)]
    assert 8 < sum(pasted) < 32


@pytest.mark.parametrize(("epoch", "side"), [(0, 8), (1, 4), (4, 4), (5, 6), (9, 6)])
def test_images_grow_with_the_epochs(epoch, side):
    found = batch()
    ProgressiveSize({1: 4, 5: 6}).on_train_batch_start(trainer(epoch), MODULE, found, 0)  # pyright: ignore
    assert found["image"].shape == (6, 3, side, side)
    assert found["image"].dtype == torch.uint8
    assert found["image"].is_contiguous(memory_format=torch.channels_last)
    if side == 8:
        assert torch.equal(found["image"], batch()["image"])


@pytest.mark.parametrize(("height", "width"), [(6, 8), (8, 6), (8, 12), (12, 8), (10, 16), (4, 9)])
def test_the_shorter_side_is_what_is_asked_for(height, width):
    before = torch.zeros(2, 3, height, width, dtype=torch.uint8)
    found = {"image": before}
    ProgressiveSize({0: 8}).on_train_batch_start(trainer(), MODULE, found, 0)  # pyright: ignore
    scale = 8 / min(height, width)
    assert found["image"].shape[2:] == (int(height * scale), int(width * scale))
    assert (found["image"] is before) == (min(height, width) == 8)


def test_halving_an_image_averages_smoothly():
    """A plane stays a plane when it is resized; its slope per pixel doubles."""
    ramp = (10 * torch.arange(16.0)).expand(1, 3, 16, 16).to(torch.uint8)
    found = {"image": ramp.contiguous(memory_format=torch.channels_last)}
    ProgressiveSize({0: 8}).on_train_batch_start(trainer(), MODULE, found, 0)  # pyright: ignore
    steps = found["image"][0, 0, 4, 1:-1].int().diff()
    assert ((steps - 20).abs() <= 1).all()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (Data(progressive={0: 0}), "data.progressive: .*got {0: 0}"),
        (Data(progressive={-1: 8}), "data.progressive: .*got {-1: 8}"),
    ],
)
def test_says_what_is_wrong(data, words):
    with pytest.raises(ValueError, match=words):
        techniques(classifier(data=data))


def test_nothing_is_added_unless_asked_for():
    assert techniques(classifier()) == []


def test_techniques_work_in_their_order():
    data, optimizer = Data(progressive={0: 4}, mixup=0.2), OptimizerConfig(ema=0.9)
    found = techniques(classifier(data=data, optimizer=optimizer))
    assert [type(one) for one in found] == [ProgressiveSize, Mixing, MovingAverage]


class Linear(lightning.LightningModule):
    """Learns y = w x by plain gradient descent; every step's weight can be computed by hand."""

    def __init__(self, callbacks=(), lr=0.1):
        super().__init__()
        self.network = nn.Linear(1, 1, bias=False)
        nn.init.ones_(self.network.weight)
        self.lr, self.seen = lr, []

    def training_step(self, batch, step):
        return self.network(batch).mean()  # the gradient is the mean of the batch

    def validation_step(self, batch, step):
        self.seen.append(self.network.weight.item())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)


def train(module, tmp_path, callbacks=(), values=(1.0, 2.0, 3.0, 4.0), epochs=1, **options):
    loader = DataLoader(torch.tensor(values).view(-1, 1), batch_size=1)
    fitted = lightning.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, callbacks=list(callbacks),
        **{"num_sanity_val_steps": 0, **{key: value for key, value in options.items() if key != "ckpt_path"}},
    )  # fmt: skip
    fitted.fit(module, loader, loader, ckpt_path=options.get("ckpt_path"))
    return fitted


def averages(weights, decay):
    """The moving average by its definition."""
    found = []
    for step, weight in enumerate(weights, 1):
        d = min(decay, 1 - step ** (-2 / 3))
        found.append(weight if step == 1 else d * found[-1] + (1 - d) * weight)
    return found


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_the_average_is_validated_and_saved_and_training_goes_on_without_it(decay, tmp_path):
    weights = list(1 - 0.1 * np.cumsum([1.0, 2, 3, 4] * 2))
    expected = averages(weights, decay)
    module, average = Linear(), MovingAverage(decay)
    fitted = train(module, tmp_path, [average], epochs=2)
    assert module.network.weight.item() == pytest.approx(weights[-1], rel=1e-6)
    assert module.seen[:4] == pytest.approx([expected[3]] * 4, rel=1e-5)
    assert module.seen[4:] == pytest.approx([expected[7]] * 4, rel=1e-5)
    fitted.save_checkpoint(tmp_path / "some.ckpt")
    content = torch.load(tmp_path / "some.ckpt", weights_only=True)
    assert content["state_dict"]["network.weight"].item() == pytest.approx(expected[-1], rel=1e-5)
    assert content["trained_weights"]["weight"].item() == pytest.approx(weights[-1], rel=1e-6)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_validation_before_the_first_step_sees_the_weights(tmp_path):
    module = Linear()
    with torch.no_grad():
        module.network.weight.fill_(7.0)  # a checkpoint's, loaded before the training
    train(module, tmp_path, [MovingAverage(0.9)], num_sanity_val_steps=1)
    assert module.seen[0] == 7.0


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_a_resumed_average_is_that_of_one_run(tmp_path):
    whole, whole_average = Linear(), MovingAverage(0.9)
    train(whole, tmp_path, [whole_average], epochs=3)
    first = Linear()
    train(first, tmp_path, [MovingAverage(0.9)], epochs=1).save_checkpoint(tmp_path / "some.ckpt")
    second, average = Linear(), MovingAverage(0.9)
    train(second, tmp_path, [average], epochs=3, ckpt_path=tmp_path / "some.ckpt")
    assert torch.equal(second.network.weight, whole.network.weight)
    assert torch.equal(average.average.module.weight, whole_average.average.module.weight)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_a_checkpoint_from_within_a_validation_does_not_mix_the_two_up(tmp_path):
    class Saving(lightning.Callback):
        def on_validation_batch_end(self, trainer, pl_module, *_):
            trainer.save_checkpoint(tmp_path / "inside.ckpt")

    module = Linear()
    train(module, tmp_path, [Saving(), MovingAverage(0.5)])
    content = torch.load(tmp_path / "inside.ckpt", weights_only=True)
    weights = list(1 - 0.1 * np.cumsum([1.0, 2, 3, 4]))
    assert content["trained_weights"]["weight"].item() == pytest.approx(weights[-1], abs=1e-6)
    assert content["state_dict"]["network.weight"].item() == pytest.approx(averages(weights, 0.5)[-1], rel=1e-5)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_accumulated_batches_are_one_step_of_their_mean(tmp_path):
    module = Linear()
    assert train(module, tmp_path, accumulate_grad_batches=2).global_step == 2
    assert module.network.weight.item() == pytest.approx(1 - 0.1 * (1.5 + 3.5))


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_clipping_bounds_the_gradients_norm(tmp_path):
    module = Linear()
    train(module, tmp_path, gradient_clip_val=2.5)
    assert module.network.weight.item() == pytest.approx(1 - 0.1 * (1 + 2 + 2.5 + 2.5), rel=1e-5)


def classifier(**options):
    torch.manual_seed(0)
    experiment = Experiment(**options)
    experiment.model.options = {"width": 4}
    return Classifier(experiment, DataFacts(("a", "b", "c", "d"), (0.5,) * 3, (0.25,) * 3, (8, 8)))


@pytest.mark.parametrize("flip", [False, True])
def test_evaluation_averages_the_mirror_image(flip, monkeypatch):
    module = classifier(data=Data(flip_test=flip)).eval()
    seen = []
    monkeypatch.setattr(module.metrics["val"]["loss"], "update", seen.append)
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    found = batch()
    with torch.no_grad():
        module.validation_step(found, 0)
        logits = module(found["image"])
        if flip:
            logits = (logits + module(torch.from_numpy(found["image"].numpy()[..., ::-1].copy()))) / 2
    expected = -logits.double().log_softmax(1)[range(6), found["label"]].mean()
    assert float(seen[0].mean()) == pytest.approx(float(expected), rel=1e-5)


def test_label_smoothing_spreads_its_share_over_all_classes():
    module = classifier(optimizer=OptimizerConfig(label_smoothing=0.2))
    logits, labels = torch.randn(5, 4, dtype=torch.double), torch.tensor([0, 1, 2, 3, 1])
    targets = 0.8 * torch.eye(4, dtype=torch.double)[labels] + 0.05
    expected = -(targets * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(module.loss(logits, labels), expected)


def test_the_average_counts_steps_not_batches():
    """Of four accumulated batches in twos, the second and the fourth make a step."""
    callback, updates = MovingAverage(0.9), []
    callback.average = SimpleNamespace(update=lambda network, step: updates.append(step))
    for step in (0, 1, 1, 2):
        callback.on_train_batch_end(SimpleNamespace(global_step=step), SimpleNamespace(network=None), None, None, 0)
    assert updates == [1, 2]
