"""Attention in timm's own train.py, which stays as it is: runs it with blocks in the network that it creates.

    git clone https://github.com/huggingface/pytorch-image-models
    python examples/timm_train.py pytorch-image-models/train.py --attention cbam --data-dir imagenet --model resnet50

All other options are the script's own. The patch by hand is two lines of train.py: `import cv_attention`, and
behind its `create_model`, before everything else (freezing, moving, EMA, compiling, DDP):

    cv_attention.insert(model, "cbam", init="identity")

validate.py takes the same, before its `load_checkpoint`. Where `create_model` itself loads a checkpoint with blocks
(`--initial-checkpoint` of train.py, `--checkpoint` of inference.py), a line behind it is too late; this script inserts
first and then loads. The teachers that `--kd-model-name` of newer versions creates get no blocks.
"""

import argparse
import contextlib
import functools
import importlib
import runpy
import sys
from collections.abc import Callable
from typing import Any

import timm
from timm.models import load_checkpoint
from torch import nn

import cv_attention as cva


def with_blocks(create: Callable[..., nn.Module], block: str, at: str) -> Callable[..., nn.Module]:
    """Wraps `timm.create_model`: the network that it returns has blocks."""

    @functools.wraps(create)
    def create_model(*args: Any, checkpoint_path: str | None = None, **options: Any) -> nn.Module:
        model = create(*args, **options)
        planned = cva.insert(model, block, at, init="identity")
        print(f"{len(planned.sites)} {block} blocks at {at}: {planned.added_parameters:,} parameters more")
        if checkpoint_path:
            load_checkpoint(model, checkpoint_path)
        return model

    return create_model


def main() -> None:
    """Runs the script."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("script", help="timm's train.py, validate.py or inference.py")
    parser.add_argument("--attention", default="se", help="a block of the catalogue")
    parser.add_argument("--at", default="residual", help="a position, or a glob over module names")
    options, theirs = parser.parse_known_args()
    with contextlib.suppress(ImportError):
        importlib.import_module("timm.task")  # creates teachers, of which the imported `create_model` stays plain
    wrapped = with_blocks(timm.create_model, options.attention, options.at)
    timm.create_model = timm.models.create_model = wrapped
    sys.argv = [options.script, *theirs]
    runpy.run_path(options.script, run_name="__main__")


if __name__ == "__main__":
    main()
