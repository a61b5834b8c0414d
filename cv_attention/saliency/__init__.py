"""Saliency methods: (model, images, targets) -> (B, 1, H, W), raw values in float32; `METHODS` has them by name.

`metrics` judges maps.
"""

from cv_attention.saliency import metrics
from cv_attention.saliency.ablation_cam import ablation_cam
from cv_attention.saliency.attention_flow import attention_flow
from cv_attention.saliency.baselines import centre_bias, random_map
from cv_attention.saliency.block_maps import block_maps
from cv_attention.saliency.cam import cam
from cv_attention.saliency.eigen_cam import eigen_cam, eigen_grad_cam, seg_eigen_cam
from cv_attention.saliency.extremal import extremal_perturbation
from cv_attention.saliency.fem import fem
from cv_attention.saliency.full_grad import full_grad
from cv_attention.saliency.grad_cam import grad_cam, grad_cam_layers
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
from cv_attention.saliency.methods import METHODS
from cv_attention.saliency.occlusion import occlusion
from cv_attention.saliency.rise import rise
from cv_attention.saliency.score_cam import score_cam
from cv_attention.saliency.smooth_grad_cam import smooth_grad_cam_plus_plus
from cv_attention.saliency.spectral_residual import spectral_residual
from cv_attention.saliency.targets import Difference, Several
from cv_attention.saliency.transformers import attention_rollout, gradient_attention

__all__ = [
    "METHODS", "Difference", "Several", "ablation_cam", "attention_flow", "attention_rollout", "block_maps", "cam",
    "centre_bias", "eigen_cam", "eigen_grad_cam", "expected_gradients", "extremal_perturbation", "fem", "finer_cam",
    "full_grad", "grad_cam", "grad_cam_elementwise", "grad_cam_layers", "grad_cam_plus_plus", "gradient",
    "gradient_attention", "guided_backprop", "hires_cam", "input_x_gradient", "integrated_gradients",
    "itti_koch_niebur", "kpca_cam", "layer_cam", "lime", "metrics", "occlusion", "random_map", "rise", "score_cam",
    "seg_eigen_cam", "shapley_cam", "smooth_grad", "smooth_grad_cam_plus_plus", "spectral_residual", "var_grad",
    "xgrad_cam",
]  # fmt: skip
