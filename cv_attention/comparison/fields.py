"""Classifies configuration fields: network, recipe, data set, or without effect on results."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from cv_attention.config import Experiment


class Kind(Enum):
    """Enumerates what a field affects."""

    BLOCK = "shared by a run and its counterparts in the other rows: seed and fold"
    DATA = "the images, and how they are divided"
    NETWORK = "the network: one row of a table for each"
    RECIPE = "how the network is trained and tested: one table for each recipe"
    EXECUTION = "how the same computation is carried out: results differ only by chance or rounding"
    RECORD = "what is written down about the run"


# Every field of the configuration; a name ending in a dot covers all fields below it.
KINDS = {
    "seed": Kind.BLOCK,
    "data.fold": Kind.BLOCK,
    "data.name": Kind.DATA,
    "data.options": Kind.DATA,
    "data.root": Kind.DATA,  # the same images in another place are the same data
    "data.on_error": Kind.DATA,
    "data.val_fraction": Kind.DATA,
    "data.test_fraction": Kind.DATA,
    "data.seed": Kind.DATA,
    "data.targets": Kind.DATA,
    "data.split_file": Kind.DATA,
    "data.subset.": Kind.DATA,
    "data.digits.": Kind.DATA,
    "data.strings.": Kind.DATA,
    "data.text.": Kind.DATA,
    "data.text.height": Kind.RECIPE,
    "data.text.width": Kind.RECIPE,
    "data.bags.": Kind.DATA,
    "data.episodes.": Kind.DATA,
    "data.table.": Kind.DATA,
    "model.backbone": Kind.NETWORK,
    "model.options": Kind.NETWORK,
    "model.widths": Kind.NETWORK,
    "model.extra_blocks": Kind.NETWORK,
    "model.pretrained": Kind.NETWORK,
    "model.weights": Kind.NETWORK,
    "model.weights_by": Kind.NETWORK,
    "model.block": Kind.NETWORK,
    "model.at": Kind.NETWORK,
    "model.init": Kind.NETWORK,
    "model.train": Kind.NETWORK,
    "model.head": Kind.NETWORK,
    "model.head_modules": Kind.NETWORK,
    "optimizer.lr_scale.blocks": Kind.NETWORK,  # unused by networks without blocks
    "data.batch_size": Kind.RECIPE,
    "data.train_transforms": Kind.RECIPE,
    "data.eval_transforms": Kind.RECIPE,
    "data.mean": Kind.RECIPE,
    "data.std": Kind.RECIPE,
    "data.bits": Kind.RECIPE,
    "data.mixup": Kind.RECIPE,
    "data.cutmix": Kind.RECIPE,
    "data.progressive": Kind.RECIPE,
    "data.balanced": Kind.RECIPE,
    "data.flip_test": Kind.RECIPE,
    "loss.": Kind.RECIPE,
    "optimizer.name": Kind.RECIPE,
    "optimizer.lr": Kind.RECIPE,
    "optimizer.weight_decay": Kind.RECIPE,
    "optimizer.lr_scale.head": Kind.RECIPE,
    "optimizer.lr_scale.backbone": Kind.RECIPE,
    "optimizer.layer_decay": Kind.RECIPE,
    "optimizer.options": Kind.RECIPE,
    "optimizer.schedule": Kind.RECIPE,
    "optimizer.warmup_epochs": Kind.RECIPE,
    "optimizer.schedule_options": Kind.RECIPE,
    "optimizer.label_smoothing": Kind.RECIPE,
    "optimizer.ema": Kind.RECIPE,
    "trainer.max_epochs": Kind.RECIPE,
    "trainer.accumulate_grad_batches": Kind.RECIPE,
    "trainer.gradient_clip_val": Kind.RECIPE,
    "trainer.select": Kind.RECIPE,
    "trainer.monitor": Kind.RECIPE,
    "trainer.monitor_mode": Kind.RECIPE,
    "trainer.extra": Kind.RECIPE,
    "data.workers": Kind.EXECUTION,
    "data.cache": Kind.EXECUTION,
    "model.channels_last": Kind.EXECUTION,
    "trainer.accelerator": Kind.EXECUTION,
    "trainer.devices": Kind.EXECUTION,  # data.batch_size counts the images on all devices together
    "trainer.num_nodes": Kind.EXECUTION,
    "trainer.strategy": Kind.EXECUTION,
    "trainer.precision": Kind.EXECUTION,
    "trainer.compile": Kind.EXECUTION,
    "trainer.deterministic": Kind.EXECUTION,
    "log.": Kind.RECORD,
}

# Lightning arguments in `trainer.extra` that only affect display or logging.
SILENT_EXTRA = ("enable_progress_bar", "enable_model_summary", "log_every_n_steps", "num_sanity_val_steps", "profiler")


def kind(name: str) -> Kind:
    """Returns what the field `name` affects; unlisted fields may change results, so they belong to the recipe."""
    groups = (decided for group, decided in KINDS.items() if group.endswith(".") and name.startswith(group))
    return KINDS.get(name) or next(groups, Kind.RECIPE)


def names(tree: Any = Experiment, prefix: str = "") -> Iterator[str]:
    """Lists all fields of the configuration by their dotted names."""
    for field in fields(tree):
        if is_dataclass(field.type):
            yield from names(field.type, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}"
