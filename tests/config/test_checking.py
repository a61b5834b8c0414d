"""Options that must fit together: every combination that is accepted, and the first that is not."""

import itertools
from dataclasses import fields, replace

import pytest

from cv_attention.config import Data, Experiment, Log, Loss, Model, SaliencyExport, Subset, Trainer
from cv_attention.config.checking import check, check_targets
from cv_attention.config.exports.reading import ReadingExport
from cv_attention.config.exports.recall import RecallExport

OF_SEVERAL = {"table", "coco", "voc", "cluttered_digits", "arrays", "datasets", "my_data.birds"}
NAMES = [*OF_SEVERAL, "folder", "cifar10", "webdataset", "torchvision/Flowers102"]


@pytest.mark.parametrize(("name", "targets"), list(itertools.product(sorted(NAMES), ["single", "multi", "numbers"])))
def test_several_classes_and_numbers_come_from_some_data_sets(name, targets):
    data = Data(name=name, targets=targets)
    if targets == "single" or (name in OF_SEVERAL and not (targets == "numbers" and name in ("coco", "voc"))):
        check_targets(data)
    else:
        with pytest.raises(ValueError, match=rf"data.targets is {targets}, but data.name {name} gives"):
            check_targets(data)


@pytest.mark.parametrize(("option", "value", "allowed"), [
    ("classes", ["a", "b"], {"single", "multi"}), ("num_classes", 2, {"single", "multi"}),
    ("per_class", 5, {"single"}), ("fraction", 0.5, {"single", "multi", "numbers"}),
])  # fmt: skip
def test_a_part_of_the_classes_needs_classes(option, value, allowed):
    for targets in ("single", "multi", "numbers"):
        data = Data(name="table", targets=targets, subset=Subset(**{option: value}))
        if targets in allowed:
            check_targets(data)
        else:
            with pytest.raises(ValueError, match=f"data.subset.{option} is .* but with data.targets {targets}"):
                check_targets(data)


# What `Loss` says of its options: the losses that use each.
CHANGED = {
    "class_weights": ("balanced", {"cross_entropy", "bce", "focal"}), "target_threshold": (0.3, {"bce"}),
    "sum_classes": (True, {"bce", "focal"}), "focal_gamma": (1.0, {"focal"}), "focal_alpha": (None, {"focal"}),
}  # fmt: skip
LOSSES = {"single": ("cross_entropy", "bce", "focal"), "multi": ("bce", "focal"), "numbers": ("mse", "l1", "huber")}
AUTO = {"single": "cross_entropy", "multi": "bce", "numbers": "mse"}


def test_every_option_of_the_loss_is_listed():
    assert {"name", *CHANGED} == {field.name for field in fields(Loss)}


@pytest.mark.parametrize("targets", LOSSES)
@pytest.mark.parametrize("name", ["auto", "cross_entropy", "bce", "focal", "mse", "l1", "huber"])
def test_an_option_that_the_loss_does_not_use_is_refused(name, targets):
    experiment = Experiment(data=Data(name="table", targets=targets), loss=Loss(name))
    if name not in ("auto", *LOSSES[targets]):
        with pytest.raises(ValueError, match=f"loss.name is {name}"):
            check(experiment)
        return
    check(experiment)
    for option, (value, losses) in CHANGED.items():
        changed = replace(experiment, loss=replace(experiment.loss, **{option: value}))
        effective = AUTO[targets] if name == "auto" else name
        if effective in losses:
            check(changed)
        else:
            with pytest.raises(ValueError, match=f"loss.{option} is {value}, but the loss {effective} does not use it"):
                check(changed)


@pytest.mark.parametrize("weight", [0, -1.0, float("inf"), float("nan")])
def test_weights_of_classes_are_above_0_and_finite(weight):
    check(Experiment(loss=Loss(class_weights={"a": 1e-9, "b": 1e9})))
    with pytest.raises(ValueError, match=r"loss\.class_weights must be above 0 and finite, got "):
        check(Experiment(loss=Loss(class_weights={"a": 1.0, "b": weight})))


def accepted(**parts):
    check(Experiment(**parts))


def refused(message, **parts):
    with pytest.raises(ValueError, match=message):
        check(Experiment(**parts))


def test_a_fold_needs_its_file():
    accepted(data=Data(fold=0))
    accepted(data=Data(fold=1, split_file="folds.json"))
    refused("data.fold is 1, but it needs data.split_file", data=Data(fold=1))


def test_a_head_alone_is_trained_on_weights():
    accepted(model=Model(train="head", pretrained=True))
    accepted(model=Model(train="head", weights="run"))
    accepted(model=Model(train="blocks"))
    refused("model.train is head, but the rest of the network is random", model=Model(train="head"))


def test_the_first_size_must_be_reached_and_later_ones_need_not():
    trainer = Trainer(max_epochs=3)
    for sizes in ({}, {0: 32}, {2: 32}, {0: 32, 5: 64}, {"2": 32}):
        accepted(data=Data(progressive=sizes), trainer=trainer)
    refused("begins with epoch 3, which never comes", data=Data(progressive={3: 32, 9: 64}), trainer=trainer)


def test_lightnings_own_arguments_leave_something_to_do():
    for extra in (
        {}, {"limit_train_batches": None}, {"limit_train_batches": 1, "max_steps": -1}, {"limit_val_batches": 0},
        {"check_val_every_n_epoch": 3}, {"check_val_every_n_epoch": None}, {"overfit_batches": 0.5}, {"profiler": "x"},
    ):  # fmt: skip
        accepted(trainer=Trainer(max_epochs=3, extra=extra))
    for extra, message in (
        ({"max_steps": True}, "max_steps must be a number, got True"),
        ({"min_epochs": "2"}, "min_epochs must be a number, got '2'"),
        ({"limit_train_batches": 0}, "limit_train_batches is 0, so nothing would be trained"),
        ({"max_steps": 0}, "max_steps is 0, so nothing would be trained"),
        ({"limit_test_batches": 0.0}, "limit_test_batches is 0.0, so nothing would be tested"),
        ({"check_val_every_n_epoch": 4}, "is 4, but trainer.max_epochs is 3: no epoch would be validated; give at mo"),
    ):  # fmt: skip
        refused(message, trainer=Trainer(max_epochs=3, extra=extra))


@pytest.mark.parametrize("name", ["", ".", "..", "a/../b", "../a", "/a"])
def test_a_run_lies_inside_the_folder_of_runs(name):
    for inside in (None, "a", "a/b", "a..b"):
        accepted(log=Log(name=inside))
    refused(r"log.name must name a folder inside log.root \(runs\), got ", log=Log(name=name))


@pytest.mark.parametrize(("block", "head", "name"), [
    (None, None, "plain"), ("se", None, "se"), (None, "gru", "gru"), ({"name": "cbam", "reduction": 8}, None, "cbam"),
    ({"class_path": "my.blocks.Mine"}, "additive", "Mine-additive"), ({"residual:0": "se"}, None, "block"),
])  # fmt: skip
def test_a_run_is_named_by_what_tells_it_from_others(block, head, name):
    experiment = Experiment(seed=7, data=Data(name="cifar10"), model=Model("timm/resnet18", block=block, head=head))
    assert (experiment.name(), experiment.group()) == (
        f"cifar10-timm-resnet18-{name}-seed7", f"cifar10-timm-resnet18-{name}",
    )  # fmt: skip
    own = replace(experiment, log=Log(name="mine", group="ours"))
    assert (own.name(), own.group()) == ("mine", "ours")


def test_what_a_run_leaves_behind_is_no_part_of_its_fingerprint():
    assert Experiment(log=Log(root="x", wandb="disabled")).fingerprint() == Experiment().fingerprint()
    assert len(Experiment().fingerprint()) == 12
    others = [Experiment(seed=1), Experiment(trainer=Trainer(max_epochs=11)), Experiment(data=Data(seed=1))]
    assert len({one.fingerprint() for one in [*others, Experiment()]}) == 4


def test_exports_say_what_their_shards_hold():
    assert SaliencyExport(method="rise").methods == ["rise"]
    assert SaliencyExport(method=["rise", "lime"]).methods == ["rise", "lime"]
    assert (ReadingExport().maps, RecallExport().maps, SaliencyExport().maps) == ("none", "none", "npz")
