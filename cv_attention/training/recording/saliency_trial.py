"""Tries the configured saliency methods before training starts."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cv_attention.extras import require_for
from cv_attention.saliency import resolve
from cv_attention.saliency.catalogue import method_name

# Methods that use only inputs and outputs, or only the image: they work with any network.
_ANY_NETWORK = {
    "gradient", "input_x_gradient", "smooth_grad", "var_grad", "integrated_gradients", "expected_gradients",
    "occlusion", "rise", "lime", "extremal_perturbation", "itti_koch_niebur", "spectral_residual", "random_map",
    "centre_bias",
}  # fmt: skip
# Methods that run the network hundreds of times or import scipy, with a fast method of the same requirements.
_QUICKER = {
    "score_cam": "grad_cam",
    "ablation_cam": "grad_cam",
    "smooth_grad_cam_plus_plus": "grad_cam_plus_plus",
    "attention_flow": "attention_rollout",
}


def check_methods(network: nn.Module, inputs: Tensor, methods: Sequence[str]) -> None:
    """Explains one image with each method, so that a method unsuited to the network is reported before training.

    Args:
        network: The network.
        inputs: One normalised image (1, 3, H, W).
        methods: Names of `METHODS`, or class paths.

    Raises:
        ValueError: naming the first method that does not work, and the reason; or two of the same short name.
    """
    short = [method_name(method) for method in methods]
    if twice := [name for name in short if short.count(name) > 1]:
        raise ValueError(f"log.saliency has two methods that are called {twice[0]}")
    for method in methods:
        require_for(method)
        if reason := unsuited(network, inputs, method):
            raise ValueError(f"log.saliency: {method} does not work with this network: {reason}")


def unsuited(network: nn.Module, inputs: Tensor, method: str) -> str | None:
    """Returns why a method cannot explain the network, or None if it can."""
    if method in _ANY_NETWORK:
        return None
    with torch.random.fork_rng(devices=[]):
        try:
            resolve(_QUICKER.get(method, method))(network, inputs, None)
        except ValueError as error:
            return " ".join(str(error).split())
    return None
