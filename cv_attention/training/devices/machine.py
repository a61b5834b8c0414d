"""Describes the hardware of a run: device name, number of devices and precision."""

import platform
from functools import cache
from pathlib import Path
from typing import Any

import lightning
import torch


def machine(trainer: lightning.Trainer) -> dict[str, Any]:
    """Returns ``accelerator``, ``device``, ``devices``, ``threads`` and ``precision`` as plain values."""
    root = trainer.strategy.root_device
    return {
        "accelerator": root.type,
        "device": torch.cuda.get_device_name(root) if root.type == "cuda" else processor(),
        "devices": trainer.world_size,
        "threads": torch.get_num_threads(),
        "precision": str(trainer.precision),
    }


@cache
def processor() -> str:
    """Returns the processor's name, or its architecture if the name is not available."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), "") or platform.processor() or platform.machine() or "unknown processor"
