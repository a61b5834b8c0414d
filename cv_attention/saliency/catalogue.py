"""Lists every saliency method by name, for commands and tests."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from torch import Tensor

from cv_attention.saliency.methods.attention.attention_flow import attention_flow
from cv_attention.saliency.methods.attention.block_maps import block_maps
from cv_attention.saliency.methods.attention.transformers import attention_rollout, gradient_attention
from cv_attention.saliency.methods.cam.ablation_cam import ablation_cam
from cv_attention.saliency.methods.cam.cam import cam
from cv_attention.saliency.methods.cam.eigen_cam import eigen_cam, eigen_grad_cam, seg_eigen_cam
from cv_attention.saliency.methods.cam.fem import fem
from cv_attention.saliency.methods.cam.grad_cam import grad_cam
from cv_attention.saliency.methods.cam.gradient_cams import (
    finer_cam,
    grad_cam_elementwise,
    grad_cam_plus_plus,
    hires_cam,
    layer_cam,
    shapley_cam,
    xgrad_cam,
)
from cv_attention.saliency.methods.cam.kpca_cam import kpca_cam
from cv_attention.saliency.methods.cam.score_cam import score_cam
from cv_attention.saliency.methods.cam.smooth_grad_cam import smooth_grad_cam_plus_plus
from cv_attention.saliency.methods.gradient.full_grad import full_grad
from cv_attention.saliency.methods.gradient.gradients import gradient, input_x_gradient, smooth_grad, var_grad
from cv_attention.saliency.methods.gradient.guided_backprop import guided_backprop
from cv_attention.saliency.methods.gradient.integrated_gradients import expected_gradients, integrated_gradients
from cv_attention.saliency.methods.model_free.baselines import centre_bias, random_map
from cv_attention.saliency.methods.model_free.itti import itti_koch_niebur
from cv_attention.saliency.methods.model_free.spectral_residual import spectral_residual
from cv_attention.saliency.methods.perturbation.extremal import extremal_perturbation
from cv_attention.saliency.methods.perturbation.lime import lime
from cv_attention.saliency.methods.perturbation.occlusion import occlusion
from cv_attention.saliency.methods.perturbation.rise import rise

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
