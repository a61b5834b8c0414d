import multiprocessing
import os
import signal

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from cv_attention.config import Data, Digits, Subset
from cv_attention.data import create
from cv_attention.data.datamodule import ImageData
from tests.quick import quick_first, quick_only

# Lightning's own, with torch 2.12 and later.
pytestmark = pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*:FutureWarning")

DIGITS = Digits(train=100, val=20, test=30)
STEPS = [
    {"Pad": {"padding": 4}},
    {"RandomCrop": {"height": 64, "width": 64}},
    {"Affine": {"rotate": [-9, 9]}},
]


def ready(**options) -> ImageData:
    module = create(Data(**{"digits": DIGITS, "batch_size": 16, **options}))
    module.setup()
    return module


def same(one: list[dict], other: list[dict]) -> bool:
    return len(one) == len(other) and all(
        a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a) for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("steps", [[], STEPS], ids=["plain", "augmented"])
def test_batches_are_as_agreed(steps):
    module = ready(train_transforms=steps)
    batches = list(module.train_dataloader())
    assert len(batches) == 6  # the 4 images that fill no batch are left out
    for batch in batches:
        assert list(batch) == ["image", "label", "index", "box"]
        assert (batch["image"].shape, batch["image"].dtype) == ((16, 3, 64, 64), torch.uint8)
        assert batch["image"].is_contiguous(memory_format=torch.channels_last)
        assert (batch["label"].shape, batch["label"].dtype) == ((16,), torch.int64)
        assert (batch["index"].shape, batch["index"].dtype) == ((16,), torch.int64)
        assert (batch["box"].shape, batch["box"].dtype) == ((16, 4), torch.float32)
    assert module.class_names == [str(i) for i in range(10)]
    assert (module.num_classes, module.image_size) == (10, (64, 64))


def test_samples_are_those_of_the_batches():
    module = ready(train_transforms=STEPS)
    for name, loader in {"val": module.val_dataloader(), "train": module.train_dataloader()}.items():
        batch = next(iter(loader))
        for place, index in enumerate(batch["index"].tolist()):
            sample = module.splits[name][index]
            assert all(torch.equal(sample[key], batch[key][place]) for key in batch)


def test_evaluation_is_in_order_and_whole():
    module = ready(eval_transforms=[{"CenterCrop": {"height": 48, "width": 40}}])
    for name, loader in {"val": module.val_dataloader(), "test": module.test_dataloader()}.items():
        index = torch.cat([batch["index"] for batch in loader])
        assert torch.equal(index, torch.arange(len(module.splits[name])))
        assert {batch["image"].shape[2:] for batch in loader} == {(48, 40)}
    assert module.image_size == (48, 40)


def test_statistics_are_those_of_the_training_pixels():
    module = ready()
    pixels = module.splits["train"].images.pixels.double() / 255
    np.testing.assert_allclose(module.mean, pixels.mean((0, 1, 2)), atol=5e-5)
    np.testing.assert_allclose(module.std, pixels.flatten(0, 2).std(0, correction=0), atol=5e-5)
    smaller = ready(subset=Subset(per_class=2, classes=["3", "5"]))
    assert (smaller.mean, smaller.std) != ((0, 0, 0), (0, 0, 0))
    assert smaller.class_names == ["3", "5"]
    assert sorted(smaller.splits["train"].images.labels) == [0, 0, 1, 1]


def test_the_seed_decides_order_and_augmentation_but_not_the_images():
    first, again, other = (
        create(Data(digits=DIGITS, batch_size=16, train_transforms=STEPS), seed=seed) for seed in (0, 0, 1)
    )
    for module in (first, again, other):
        module.setup()
    batches = [list(module.train_dataloader()) for module in (first, again, other)]
    assert same(batches[0], batches[1])
    assert not same(batches[0], batches[2])
    assert torch.equal(first.splits["train"].images.pixels, other.splits["train"].images.pixels)


def test_each_epoch_augments_anew():
    loader = ready(train_transforms=STEPS, digits=Digits(train=10, val=10, test=10)).train_dataloader()
    epochs = []
    for epoch in (0, 1):
        loader.batch_sampler.set_epoch(epoch)
        batch = next(iter(loader))
        epochs.append(batch["image"][batch["index"].argsort()])
    assert (epochs[0] != epochs[1]).flatten(1).any(1).all()


@pytest.mark.parametrize("workers", quick_only([2], [1, 2]))
def test_workers_change_nothing(workers):
    batches = []
    for count in (0, workers):
        loader = ready(train_transforms=STEPS, workers=count).train_dataloader()
        epochs = []
        for epoch in (0, 1):
            loader.batch_sampler.set_epoch(epoch)
            epochs += list(loader)
        batches.append(epochs)
    assert same(*batches)


class Recorder(LightningModule):
    """Trains nothing and notes the pixels of every batch."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[int, int, int]] = []

    def training_step(self, batch, _):
        self.seen.append((self.current_epoch, int(batch["index"].sum()), int(batch["image"].sum())))
        return self.weight.sum()

    def validation_step(self, batch, _):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


class Save(Callback):
    """Saves after a given step, wherever in an epoch that is."""

    def __init__(self, step, path):
        self.step, self.path = step, path

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


def fit(callbacks, workers, epochs=3, **options):
    recorder = Recorder()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        callbacks=callbacks,
        enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
    )
    data = create(Data(digits=DIGITS, batch_size=16, train_transforms=STEPS[:2], workers=workers))
    trainer.fit(recorder, data, weights_only=True, **options)
    return recorder.seen


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("step", quick_first([4, 6, 7, 12]))  # six batches an epoch: in the middle, the last, the first
def test_a_resumed_run_sees_what_the_whole_run_saw(step, workers, tmp_path):
    path = tmp_path / "a.ckpt"
    whole = fit([Save(step, path)], workers=0)
    assert len(set(whole)) == 18
    assert fit([], workers, ckpt_path=path) == whole[step:]


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
@pytest.mark.parametrize("workers", quick_only([2], [0, 2]))
def test_a_run_resumed_from_an_epochs_checkpoint(workers, tmp_path):
    whole = fit([], workers=0)
    fit([ModelCheckpoint(tmp_path, save_last=True)], workers=0, epochs=2)
    again = ModelCheckpoint(tmp_path, save_last=True)
    assert fit([again], workers, ckpt_path=tmp_path / "last.ckpt") == whole[12:]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "imagenet"}, "data.name must be one of cluttered_digits, cifar10.*got 'imagenet'"),
        ({"name": "fashion-mnist"}, "got 'fashion-mnist'; did you mean 'torchvision/FashionMNIST'"),
        ({"batch_size": 0}, "data.batch_size must be at least 1, got 0"),
        ({"workers": -1}, "data.workers"),
        ({"val_fraction": 1.0}, r"data.val_fraction must be in \(0, 1\), got 1.0"),
        ({"seed": -1}, "data.seed"),
        ({"subset": Subset(fraction=2.0)}, "data.subset.fraction"),
        ({"digits": Digits(train=1)}, "data.digits.train"),
        ({"train_transforms": ["Flipp"]}, r"data.train_transforms\[0\]"),
        (
            {"eval_transforms": [{"Resize": {"size": 3}}]},
            r"data.eval_transforms\[0\]: Resize got an unknown argument",
        ),
    ],
)
def test_mistakes_are_known_when_the_module_is_made(options, message):
    with pytest.raises(ValueError, match=message):
        create(Data(**options))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([{"RandomCrop": {"height": 80, "width": 80}}], r"data.train_transforms: image 0: .*80"),
        ([{"RandomScale": {"scale_limit": 0.5, "p": 1}}], r"data.train_transforms: .*must have the same size"),
    ],
)
def test_mistakes_are_known_before_training(steps, message):
    with pytest.raises(ValueError, match=message) as raised:
        ready(train_transforms=steps)
    assert "\n" not in str(raised.value)


def test_an_error_in_a_worker_is_one_line():
    loader = ready(workers=1, eval_transforms=[{"Affine": {"rotate": [9, 9]}}]).test_dataloader()
    broken = {"__call__": None, "place": "data.eval_transforms", "batched": None}
    loader.dataset.pipeline = type("Broken", (), broken)()
    before = set(multiprocessing.active_children())
    with pytest.raises(ValueError, match=r"^data\.eval_transforms: image 0: ") as raised:
        list(loader)
    assert "\n" not in str(raised.value)
    assert set(multiprocessing.active_children()) <= before  # collected later, they would be waited for: ten seconds


def test_the_other_workers_end_when_one_is_killed():
    loader = ready(workers=2, eval_transforms=[{"Affine": {"rotate": [9, 9]}}]).test_dataloader()

    def killed(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    methods = {"__call__": killed, "place": "data.eval_transforms", "batched": None}
    loader.dataset.pipeline = type("Broken", (), methods)()
    before = set(multiprocessing.active_children())
    with pytest.raises(RuntimeError, match=r"DataLoader worker .*(killed|exited)"):
        list(loader)
    assert set(multiprocessing.active_children()) <= before
