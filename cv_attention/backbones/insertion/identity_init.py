"""Initializes any block as the identity, so that a pretrained network's output is unchanged."""

from dataclasses import replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from cv_attention.backbones.insertion.rehearsal import Rehearsal, rehearse
from cv_attention.blocks.base import STEEP, check_choice

Form = Literal["whole", "added", "faded"]


class IdentityInit(nn.Module):
    """Runs a block that starts as the identity, and learns from its first step on.

    A block that has a method `start_as_identity` prepared itself by it: then it returns its input (``whole``), or
    zeros, to which the input is added (``added``). Any other is faded in by numbers alpha, one per channel, that start
    at 0: ``x + 10 * alpha * (block(x) - x)``. While they are 0 the block itself gets no gradient.

    Args:
        block: The block; its output must be finite, and it must not change its input in place.
        channels: Channels C of the input.
        form: ``whole``, ``added`` or ``faded``.

    Raises:
        ValueError: if `form` is none of these.
    """

    def __init__(self, block: nn.Module, channels: int, form: Form) -> None:
        super().__init__()
        check_choice("form", form, get_args(Form))
        self.form = form
        self.block = block
        self.alpha = nn.Parameter(torch.zeros(channels, device="cpu")) if form == "faded" else None
        self.register_load_state_dict_pre_hook(_refuse_earlier_form)

    def forward(self, x: Tensor) -> Tensor:
        """Keeps shape and type of `x` (B, C, H, W), under autocast too."""
        y = self.block(x).to(x.dtype)
        if self.form == "whole":
            return y
        if self.alpha is None:
            return x + y
        return x + (STEEP * self.alpha).to(x.dtype)[:, None, None] * (y - x)

    def extra_repr(self) -> str:
        """Shows the form in ``print(model)``."""
        return f"form={self.form!r}"


def _refuse_earlier_form(module: IdentityInit, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """The hook before loading: every block once had one alpha of its own."""
    alpha = state_dict.get(f"{prefix}alpha")
    if alpha is not None and (module.alpha is None or alpha.shape != module.alpha.shape):
        raise ValueError(
            f"{prefix}alpha has the shape {tuple(alpha.shape)}: the checkpoint's block starts as the identity in the "
            "form of an earlier version, which this one does not have; load it with that version, or train again"
        )


def as_identity(block: nn.Module, shape: tuple[int, int, int], site: str, label: str) -> tuple[IdentityInit, Rehearsal]:
    """Lets a new block start as the identity, and tries it as `rehearse` does, which describes the arguments.

    Raises:
        ValueError: as `rehearse`; or if the block's own `start_as_identity` fails, or leaves it as something else.
    """
    where, prepare = f"block {label} at site {site!r}", getattr(block, "start_as_identity", None)
    if prepare is not None:
        try:
            prepare()
        except Exception as error:  # a user's block may fail in any way
            raise ValueError(f"{where}: start_as_identity() fails: {type(error).__name__}: {error}") from error
    trial = rehearse(block, shape, site, label)
    form: Form = "whole" if trial.returns == "input" else "faded"
    if prepare is not None and trial.returns == "zeros":
        form = "added"
    elif prepare is not None and trial.returns == "else":
        raise ValueError(f"{where}: after start_as_identity() it returns neither its input nor zeros")
    # A sum keeps no output for its gradient.
    return IdentityInit(block, shape[0], form), replace(trial, fresh=trial.fresh and form == "whole")
