"""Checks that the accelerator, the strategy and the devices exist."""

import os
import re

from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.strategies import StrategyRegistry

from cv_attention.config import Trainer
from cv_attention.suggest import suggest
from cv_attention.training.devices import sharding


def check(config: Trainer) -> None:
    """Checks the accelerator, strategy and devices before any data is loaded, where Lightning would fail later.

    Raises:
        ValueError: if the accelerator or the strategy is unknown, or this machine has no such accelerator or fewer
            devices than requested.
    """
    available = {name: AcceleratorRegistry[name]["accelerator"].is_available() for name in AcceleratorRegistry}
    available["gpu"] = available["cuda"] or available["mps"]
    name = config.accelerator
    if name not in ("auto", *available):
        known = sorted(["auto", *available])
        raise ValueError(f"trainer.accelerator: unknown accelerator {name}{suggest(name, known)}")
    if name != "auto" and not available[name]:
        present = ", ".join(name for name, there in sorted(available.items()) if there)
        raise ValueError(f"trainer.accelerator is {name}, but torch finds none on this machine; available: {present}")
    _check_devices(config, [name for name in ("cuda", "mps") if available[name]])
    strategies = ["auto", sharding.NAME, *StrategyRegistry.available_strategies()]
    if config.strategy not in strategies:
        raise ValueError(f"trainer.strategy: unknown strategy {config.strategy}{suggest(config.strategy, strategies)}")


def _check_devices(config: Trainer, accelerators: list[str]) -> None:
    """Checks an explicit number of devices against those available; a CPU counts as one device per core."""
    name = config.accelerator
    if name in ("auto", "gpu"):
        name = next(iter(accelerators), "cpu")
    accepted = r"auto|\d+" if name == "cpu" else r"auto|-1|\d+(, *\d+)*,?"
    if isinstance(config.devices, str) and not re.fullmatch(accepted, config.devices):
        several = "" if name == "cpu" else ", or device indices such as '0,2'"
        raise ValueError(f"trainer.devices must be a number or auto{several}, got {config.devices!r}")
    if not isinstance(config.devices, int) or name not in ("cpu", "cuda", "mps"):
        return
    count = (os.cpu_count() or 1) if name == "cpu" else AcceleratorRegistry[name]["accelerator"].auto_device_count()
    if config.devices > count:
        what = {"cpu": "CPU core", "cuda": "CUDA device", "mps": "MPS device"}[name]
        raise ValueError(
            f"trainer.devices is {config.devices}, but this machine has {count} {what}{'s' * (count != 1)}; "
            f"set it to at most {count}, or auto"
        )
