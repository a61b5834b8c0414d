"""Lists every saliency method by name, and finds those of your own by class path."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial, wraps
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from cv_attention.blocks.importing import import_object, is_function_of
from cv_attention.saliency.core.engine import plain
from cv_attention.saliency.core.state import undisturbed_by_others
from cv_attention.saliency.methods.attention.attention_flow import attention_flow
from cv_attention.saliency.methods.attention.block_maps import block_maps
from cv_attention.saliency.methods.attention.le_grad import le_grad
from cv_attention.saliency.methods.attention.transformers import attention_rollout, gradient_attention
from cv_attention.saliency.methods.cam.ablation_cam import ablation_cam
from cv_attention.saliency.methods.cam.cam import cam
from cv_attention.saliency.methods.cam.eigen_cam import eigen_cam, eigen_grad_cam, seg_eigen_cam
from cv_attention.saliency.methods.cam.elementwise_cams import grad_cam_elementwise, hires_cam, layer_cam
from cv_attention.saliency.methods.cam.factorisation import deep_feature_factorisation
from cv_attention.saliency.methods.cam.fem import fem
from cv_attention.saliency.methods.cam.grad_cam import grad_cam
from cv_attention.saliency.methods.cam.gradient_cams import finer_cam, grad_cam_plus_plus, shapley_cam, xgrad_cam
from cv_attention.saliency.methods.cam.kpca_cam import kpca_cam
from cv_attention.saliency.methods.cam.refine_cam import refine_cam
from cv_attention.saliency.methods.cam.score_cam import score_cam
from cv_attention.saliency.methods.cam.smooth_grad_cam import smooth_grad_cam_plus_plus
from cv_attention.saliency.methods.gradient.full_grad import full_grad
from cv_attention.saliency.methods.gradient.gradient_shap import gradient_shap
from cv_attention.saliency.methods.gradient.gradients import gradient, input_x_gradient, smooth_grad, var_grad
from cv_attention.saliency.methods.gradient.guided_backprop import guided_backprop
from cv_attention.saliency.methods.gradient.guided_grad_cam import guided_grad_cam
from cv_attention.saliency.methods.gradient.integrated_gradients import expected_gradients, integrated_gradients
from cv_attention.saliency.methods.model_free.baselines import centre_bias, random_map
from cv_attention.saliency.methods.model_free.itti import itti_koch_niebur
from cv_attention.saliency.methods.model_free.spectral_residual import spectral_residual
from cv_attention.saliency.methods.perturbation.extremal import extremal_perturbation
from cv_attention.saliency.methods.perturbation.feature_ablation import feature_ablation
from cv_attention.saliency.methods.perturbation.kernel_shap import kernel_shap
from cv_attention.saliency.methods.perturbation.lime import lime
from cv_attention.saliency.methods.perturbation.occlusion import occlusion
from cv_attention.saliency.methods.perturbation.rise import rise
from cv_attention.saliency.methods.relevance.deep_lift import deep_lift
from cv_attention.saliency.methods.relevance.lrp import attn_lrp, lrp
from cv_attention.suggest import suggest

METHODS: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {
        method.__name__: method
        for method in (
            grad_cam,
            grad_cam_plus_plus,
            smooth_grad_cam_plus_plus,
            xgrad_cam,
            layer_cam,
            refine_cam,
            hires_cam,
            grad_cam_elementwise,
            shapley_cam,
            finer_cam,
            cam,
            eigen_cam,
            eigen_grad_cam,
            seg_eigen_cam,
            kpca_cam,
            fem,
            deep_feature_factorisation,
            full_grad,
            gradient,
            input_x_gradient,
            smooth_grad,
            var_grad,
            integrated_gradients,
            expected_gradients,
            guided_backprop,
            guided_grad_cam,
            gradient_shap,
            deep_lift,
            lrp,
            attn_lrp,
            occlusion,
            feature_ablation,
            rise,
            lime,
            kernel_shap,
            score_cam,
            ablation_cam,
            extremal_perturbation,
            block_maps,
            attention_rollout,
            attention_flow,
            gradient_attention,
            le_grad,
            itti_koch_niebur,
            spectral_residual,
            random_map,
            centre_bias,
        )
    }
)
"""All saliency methods by name, a read-only mapping to functions ``(model, images, targets, **options)``."""


def resolve(method: str | Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Returns a saliency method, ``(model, images, targets, **options) -> (B, T or 1, H, W)``.

    Args:
        method: A name of `METHODS`; the class path of a function such as ``"my_methods.edges"``, looked up in the
            current directory too; or a function.

    Returns:
        The method. One of your own is run in eval mode with gradients on, leaves modes and gradients of the model as
        they were, and is checked at each call: it must return float maps of the images it was given.

    Raises:
        ValueError: if the name or the function does not exist, or it does not take (model, images, targets).

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.resolve("grad_cam")(model, images).shape
        torch.Size([2, 1, 32, 32])
        >>> def edges(model, images, targets):  # a method of your own
        ...     return images.diff(dim=-1, append=images[..., -1:]).abs().mean(1, keepdim=True)
        >>> cva.saliency.resolve(edges)(model, images).shape
        torch.Size([2, 1, 32, 32])
    """
    function = _imported(method) if isinstance(method, str) else method
    if function in METHODS.values():
        return function
    try:
        inspect.signature(function).bind(None, None, None)
    except TypeError as error:
        raise ValueError(
            f"saliency method {method_name(method)} must take (model, images, targets): {error}"
        ) from error
    return _checked(function)


def _imported(method: str) -> Callable[..., Tensor]:
    if method in METHODS:
        return METHODS[method]
    if "." not in method:
        raise ValueError(f"unknown saliency method {method}{suggest(method, METHODS, shown=len(METHODS))}")
    fits = is_function_of(method.rpartition(".")[0])
    return import_object(method, "saliency method", "function", fits, "my_methods.my_method")


def method_name(method: str | Callable[..., Tensor]) -> str:
    """Returns the short name of a method: ``edges`` for ``my_methods.edges``, and for a partial of that function."""
    if isinstance(method, str):
        return method.rpartition(".")[2]
    if isinstance(method, partial) and not hasattr(method, "__name__"):
        return method_name(method.func)
    return getattr(method, "__name__", type(method).__name__)


def _checked(method: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @wraps(method)
    def checked(model: Any, images: Tensor, targets: Any = None, **options: Any) -> Tensor:
        try:
            with undisturbed_by_others(model, images):
                heat = method(model, plain(images), targets, **options)
        except (ValueError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise ValueError(f"saliency method {method_name(method)} fails: {what}") from error
        wanted = (len(images), 1, *images.shape[2:])
        if not isinstance(heat, Tensor) or heat.dim() != images.dim() or (len(heat), 1, *heat.shape[2:]) != wanted:
            got = tuple(heat.shape) if isinstance(heat, Tensor) else type(heat).__name__
            raise ValueError(f"saliency method {method_name(method)} must return {wanted}, got {got}")
        return heat.detach().float()

    return checked
