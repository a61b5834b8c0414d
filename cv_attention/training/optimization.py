"""Optimizers and learning-rate schedules by the names of timm or torch."""

import inspect
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler

from cv_attention.config import Optimizer
from cv_attention.suggest import suggest

# timm has no list of them.
_TIMM_SCHEDULES = ("constant", "cosine", "multistep", "poly", "rsqrt", "step", "tanh", "wsd")


def torch_names(module: Any) -> list[str]:
    """Names of the classes that a torch module offers."""
    return [name for name, value in vars(module).items() if isinstance(value, type) and not name.startswith("_")]


def check(config: Optimizer, network: nn.Module) -> None:
    """Creates optimizer and schedule once, so that mistakes show before anything is trained.

    Raises:
        ValueError: if a name or an option is unknown.
    """
    create_schedule(config, create_optimizer(config, network), epochs=100, steps_per_epoch=10)


def create_optimizer(config: Optimizer, network: nn.Module) -> torch.optim.Optimizer:
    """Creates the optimizer; biases and norms (parameters with one axis) get no weight decay.

    Args:
        config: The optimizer's part of the configuration.
        network: Whose parameters are optimized.

    Raises:
        ValueError: if the name or one of its options is unknown.
    """
    from timm.optim import create_optimizer_v2, list_optimizers, param_groups_weight_decay

    known = [*torch_names(torch.optim), *list_optimizers()]
    if config.name not in known:
        raise ValueError(f"optimizer.name: there is no optimizer {config.name}{suggest(config.name, known)}")
    try:
        if (torch_class := getattr(torch.optim, config.name, None)) is not None:
            groups = param_groups_weight_decay(network, config.weight_decay)
            return torch_class(groups, lr=config.lr, weight_decay=config.weight_decay, **config.options)
        return create_optimizer_v2(
            network, config.name, lr=config.lr, weight_decay=config.weight_decay, **config.options
        )
    except (TypeError, ValueError, AssertionError) as error:
        raise ValueError(f"optimizer {config.name} with options {config.options}: {error}") from error


def create_schedule(config: Optimizer, optimizer: torch.optim.Optimizer, epochs: int, steps_per_epoch: int) -> Any:
    """Creates the schedule, to be stepped after every optimizer step, or None for a constant rate.

    A torch schedule gets the arguments that follow from the length of the training, such as ``T_max`` of
    ``CosineAnnealingLR`` or ``total_steps`` and ``max_lr`` of ``OneCycleLR``, unless they are given.

    Raises:
        ValueError: if the name or one of its options is unknown.
    """
    if config.schedule is None:
        return None
    from timm.scheduler import create_scheduler_v2

    known = [*torch_names(lr_scheduler), *_TIMM_SCHEDULES]
    if config.schedule not in known:
        raise ValueError(f"optimizer.schedule: there is no schedule {config.schedule}{suggest(config.schedule, known)}")
    try:
        if (torch_class := getattr(lr_scheduler, config.schedule, None)) is not None:
            total = epochs * steps_per_epoch
            known = {"T_max": total, "total_iters": total, "total_steps": total, "max_lr": config.lr}
            accepted = inspect.signature(torch_class).parameters
            follows = {name: value for name, value in known.items() if name in accepted}
            return torch_class(optimizer, **{**follows, **config.schedule_options})
        schedule, _ = create_scheduler_v2(
            optimizer,
            config.schedule,
            num_epochs=epochs,
            warmup_epochs=config.warmup_epochs,  # pyright: ignore[reportArgumentType]  # fractions work
            step_on_epochs=False,
            updates_per_epoch=steps_per_epoch,
            **config.schedule_options,
        )
        return schedule
    except (TypeError, ValueError, AssertionError) as error:
        raise ValueError(f"schedule {config.schedule} with options {config.schedule_options}: {error}") from error
