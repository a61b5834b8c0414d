"""Saves and restores the state of model and process around a saliency method."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from cv_attention.backbones.tracing.eval_mode import eval_mode
from cv_attention.maps.wrappers import run_eagerly


@contextmanager
def undisturbed(model: nn.Module, device_type: str) -> Iterator[None]:
    """Runs `model` as it predicts, whatever the caller's modes: in eval mode, uncompiled, outside inference mode.

    Every module's own mode comes back when the last of several threads that share the model has finished.
    """
    try:
        with eval_mode(model), run_eagerly(), torch.inference_mode(False), torch.no_grad():
            yield
    finally:
        if torch.is_autocast_enabled(device_type):
            # Weights that were cast without gradients must not serve the caller's next training step, as
            # they do in some versions of torch.
            torch.clear_autocast_cache()
