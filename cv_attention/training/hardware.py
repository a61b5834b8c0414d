"""Whether Lightning knows the accelerator and the strategy, and this machine has the accelerator."""

from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.strategies import StrategyRegistry

from cv_attention.config import Trainer
from cv_attention.suggest import suggest
from cv_attention.training import sharding


def check(config: Trainer) -> None:
    """Answers before any data is loaded what Lightning would answer afterwards, in words of its own.

    Raises:
        ValueError: if the accelerator or the strategy is unknown, or this machine has no such accelerator.
    """
    available = {name: AcceleratorRegistry[name]["accelerator"].is_available() for name in AcceleratorRegistry}
    available["gpu"] = available["cuda"] or available["mps"]
    name = config.accelerator
    if name not in ("auto", *available):
        known = sorted(["auto", *available])
        raise ValueError(f"trainer.accelerator: there is no accelerator {name}{suggest(name, known)}")
    if name != "auto" and not available[name]:
        found = ", ".join(name for name, there in sorted(available.items()) if there)
        raise ValueError(f"trainer.accelerator is {name}, but this machine has none that torch can use; it has {found}")
    strategies = ["auto", sharding.NAME, *StrategyRegistry.available_strategies()]
    if config.strategy not in strategies:
        raise ValueError(
            f"trainer.strategy: there is no strategy {config.strategy}{suggest(config.strategy, strategies)}"
        )
