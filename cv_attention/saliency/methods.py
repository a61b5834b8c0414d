"""Every saliency method by name: the one table that commands and tests go through."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from torch import Tensor

from cv_attention.saliency.ablation_cam import ablation_cam
from cv_attention.saliency.attention_flow import attention_flow
from cv_attention.saliency.baselines import centre_bias, random_map
from cv_attention.saliency.block_maps import block_maps
from cv_attention.saliency.cam import cam
from cv_attention.saliency.eigen_cam import eigen_cam, eigen_grad_cam, seg_eigen_cam
from cv_attention.saliency.extremal import extremal_perturbation
from cv_attention.saliency.fem import fem
from cv_attention.saliency.full_grad import full_grad
from cv_attention.saliency.grad_cam import grad_cam
from cv_attention.saliency.gradient_cams import (
    finer_cam,
    grad_cam_elementwise,
    grad_cam_plus_plus,
    hires_cam,
    layer_cam,
    shapley_cam,
    xgrad_cam,
)
from cv_attention.saliency.gradients import gradient, input_x_gradient, smooth_grad, var_grad
from cv_attention.saliency.guided_backprop import guided_backprop
from cv_attention.saliency.integrated_gradients import expected_gradients, integrated_gradients
from cv_attention.saliency.itti import itti_koch_niebur
from cv_attention.saliency.kpca_cam import kpca_cam
from cv_attention.saliency.lime import lime
from cv_attention.saliency.occlusion import occlusion
from cv_attention.saliency.rise import rise
from cv_attention.saliency.score_cam import score_cam
from cv_attention.saliency.smooth_grad_cam import smooth_grad_cam_plus_plus
from cv_attention.saliency.spectral_residual import spectral_residual
from cv_attention.saliency.transformers import attention_rollout, gradient_attention

METHODS: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {
        method.__name__: method
        for method in (
            grad_cam,
            grad_cam_plus_plus,
            smooth_grad_cam_plus_plus,
            xgrad_cam,
            layer_cam,
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
            full_grad,
            gradient,
            input_x_gradient,
            smooth_grad,
            var_grad,
            integrated_gradients,
            expected_gradients,
            guided_backprop,
            occlusion,
            rise,
            lime,
            score_cam,
            ablation_cam,
            extremal_perturbation,
            block_maps,
            attention_rollout,
            attention_flow,
            gradient_attention,
            itti_koch_niebur,
            spectral_residual,
            random_map,
            centre_bias,
        )
    }
)
