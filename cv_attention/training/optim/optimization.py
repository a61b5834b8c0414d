"""Creates optimizers and learning-rate schedules by timm's or torch's names."""

import inspect
import re
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler

from cv_attention.config import Optimizer, Trainer
from cv_attention.suggest import suggest
from cv_attention.training.optim.groups import parameter_groups

# timm has no list of them.
_TIMM_SCHEDULES = ("constant", "cosine", "multistep", "poly", "rsqrt", "step", "tanh", "wsd")


def torch_names(module: Any) -> list[str]:
    """Lists the names of the public classes of a torch module, such as ``torch.optim``."""
    return [name for name, value in vars(module).items() if isinstance(value, type) and not name.startswith("_")]


def check(config: Optimizer, network: nn.Module, epochs: int) -> None:
    """Checks the optimizer's part of a configuration, by creating optimizer and schedule once before training.

    Raises:
        ValueError: if a name or an option is unknown.
    """
    create_schedule(config, create_optimizer(config, network), epochs, steps_per_epoch=10)


def steps_per_epoch(batches: int, trainer: Trainer) -> int:
    """Computes the number of optimizer steps in an epoch; incomplete accumulation at its end counts as a step.

    Args:
        batches: Batches of the training split, for one process.
        trainer: The trainer's part of the configuration.

    Returns:
        At least 1.
    """
    return max(1, -(-trained_batches(batches, trainer) // trainer.accumulate_grad_batches))


def trained_batches(batches: int, trainer: Trainer) -> int:
    """Computes how many of an epoch's batches are trained on, given ``limit_train_batches`` in ``trainer.extra``."""
    return limited(batches, trainer.extra.get("limit_train_batches"))


def limited(batches: int, limit: float | None) -> int:
    """Applies one of Lightning's limits to a number of batches: a fraction, a number, or None for all."""
    if limit is None:
        return batches
    return int(batches * limit) if isinstance(limit, float) else min(batches, limit)


def create_optimizer(config: Optimizer, network: nn.Module) -> torch.optim.Optimizer:
    """Creates the optimizer with the groups of `parameter_groups`.

    Args:
        config: The optimizer's part of the configuration.
        network: The network whose parameters are optimized.

    Raises:
        ValueError: if the name or one of its options is unknown.
    """
    from timm.optim import create_optimizer_v2, get_optimizer_class, list_optimizers

    known = [*torch_names(torch.optim), *list_optimizers()]
    if config.name.removeprefix("lookahead_") not in known:
        raise ValueError(f"optimizer.name: unknown optimizer {config.name}{suggest(config.name, known)}")
    groups = parameter_groups(network, config)
    if config.name == "Muon":
        raise ValueError("optimizer.name: torch's Muon takes matrices alone; use muon, timm's, which takes all weights")
    common: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay, **config.options}
    torch_class = getattr(torch.optim, config.name, None)
    try:
        if torch_class is not None:
            return torch_class(groups, **common)
        return create_optimizer_v2(groups, config.name, **common)
    except (TypeError, ValueError, AssertionError) as error:
        optimizer = torch_class or get_optimizer_class(config.name.removeprefix("lookahead_"), bind_defaults=False)
        raise ValueError(_explain("optimizer", config.name, config.options, error, optimizer)) from error


def create_schedule(config: Optimizer, optimizer: torch.optim.Optimizer, epochs: int, steps_per_epoch: int) -> Any:
    """Creates the learning-rate schedule, which is stepped after every optimizer step; None for a constant rate.

    Every schedule multiplies each group's own rate.

    Args:
        config: The optimizer's part of the configuration.
        optimizer: The optimizer, whose groups each keep their own rate as the peak.
        epochs: Number of training epochs.
        steps_per_epoch: Optimizer steps in an epoch.

    Raises:
        ValueError: if the name or one of its options is unknown, or the warm-up does not fit.
    """
    if not 0 <= config.warmup_epochs <= epochs:
        raise ValueError(
            f"optimizer.warmup_epochs must lie between 0 and the training's {epochs} epochs, got {config.warmup_epochs}"
        )
    if config.schedule is None:
        if config.warmup_epochs:
            raise ValueError("optimizer.warmup_epochs needs a schedule; use constant in place of null")
        return None
    known = [*torch_names(lr_scheduler), *_TIMM_SCHEDULES, "triangular"]
    if config.schedule not in known:
        raise ValueError(f"optimizer.schedule: unknown schedule {config.schedule}{suggest(config.schedule, known)}")
    try:
        if config.schedule in _TIMM_SCHEDULES:
            return _of_timm(config, optimizer, epochs, steps_per_epoch)
        return _of_torch(config, optimizer, epochs, steps_per_epoch)
    except (TypeError, ValueError, AssertionError) as error:
        options = config.schedule_options
        raise ValueError(_explain("schedule", config.schedule, options, error, _maker(config.schedule))) from error


def _maker(schedule: str) -> Any:
    """Returns the function or class that takes the options of a schedule."""
    if schedule in _TIMM_SCHEDULES:
        from timm.scheduler import create_scheduler_v2

        return create_scheduler_v2
    return getattr(lr_scheduler, "OneCycleLR" if schedule == "triangular" else schedule)


def _explain(part: str, name: str, options: dict[str, Any], error: Exception, maker: Any) -> str:
    """Describes an option that does not exist, or quotes the library's error."""
    wrong = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    if wrong is None or wrong[1] not in options:
        return f"{part} {name} with options {options}: {error}"
    given = {"params", "optimizer", "lr", "weight_decay", "self", "args", "kwargs"}
    accepted = sorted(set(inspect.signature(maker).parameters) - given)
    field = "optimizer.options" if part == "optimizer" else "optimizer.schedule_options"
    return f"{field}: {name} has no option {wrong[1]}{suggest(wrong[1], accepted)}"


def _of_timm(config: Optimizer, optimizer: torch.optim.Optimizer, epochs: int, steps_per_epoch: int) -> Any:
    from timm.scheduler import create_scheduler_v2

    schedule, _ = create_scheduler_v2(
        optimizer,
        config.schedule,  # pyright: ignore[reportArgumentType]
        num_epochs=epochs,
        warmup_epochs=config.warmup_epochs,  # pyright: ignore[reportArgumentType]  # fractions work
        step_on_epochs=False,
        updates_per_epoch=steps_per_epoch,
        **config.schedule_options,
    )
    return schedule


def _of_torch(config: Optimizer, optimizer: torch.optim.Optimizer, epochs: int, steps_per_epoch: int) -> Any:
    """Creates one of torch's schedules; arguments that follow from the length of training are filled in."""
    name, options = config.schedule or "", config.schedule_options
    if name == "triangular":
        name = "OneCycleLR"
        options = {"anneal_strategy": "linear", "cycle_momentum": False, "final_div_factor": 1e6, **options}
    total = epochs * steps_per_epoch
    follows: dict[str, Any] = {"T_max": total, "total_iters": total, "total_steps": total}
    follows["max_lr"] = [group["lr"] for group in optimizer.param_groups]
    if config.warmup_epochs:
        follows["pct_start"] = config.warmup_epochs / epochs
    torch_class = getattr(lr_scheduler, name)
    accepted = inspect.signature(torch_class).parameters
    if config.warmup_epochs and "pct_start" not in accepted:
        raise ValueError("torch's schedules do not warm up; use timm's, triangular or OneCycleLR, or warmup_epochs 0")
    follows = {name: value for name, value in follows.items() if name in accepted}
    return torch_class(optimizer, **{**follows, **options})
