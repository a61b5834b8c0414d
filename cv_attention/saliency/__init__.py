"""Explains predictions by saliency maps: (model, images, targets) -> (B, 1, H, W), raw float32 values.

`resolve` finds a method by its name, or one of your own by its class path; see ``docs/extending.md``.

`METHODS` lists all methods by name; `metrics` evaluates maps.
"""

from cv_attention.saliency import metrics, targets
from cv_attention.saliency.catalogue import METHODS, resolve
from cv_attention.saliency.core.outputs.explanation import explanation
from cv_attention.saliency.core.targets import Difference, Several
from cv_attention.saliency.methods.attention.attention_flow import attention_flow
from cv_attention.saliency.methods.attention.block_maps import block_maps
from cv_attention.saliency.methods.attention.le_grad import le_grad
from cv_attention.saliency.methods.attention.transformers import attention_rollout, gradient_attention
from cv_attention.saliency.methods.cam.ablation_cam import ablation_cam
from cv_attention.saliency.methods.cam.cam import cam
from cv_attention.saliency.methods.cam.eigen_cam import eigen_cam, eigen_grad_cam, seg_eigen_cam
from cv_attention.saliency.methods.cam.elementwise_cams import grad_cam_elementwise, hires_cam, layer_cam
from cv_attention.saliency.methods.cam.factorisation import concept_maps, deep_feature_factorisation
from cv_attention.saliency.methods.cam.fem import fem
from cv_attention.saliency.methods.cam.grad_cam import grad_cam, grad_cam_layers
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
from cv_attention.saliency.methods.relevance import composites as relevance_rules
from cv_attention.saliency.methods.relevance.deep_lift import deep_lift
from cv_attention.saliency.methods.relevance.lrp import Relevance, attn_lrp, lrp, relevance

__all__ = [
    "METHODS", "Difference", "Relevance", "Several", "ablation_cam", "attention_flow", "attention_rollout", "attn_lrp",
    "block_maps", "cam", "centre_bias", "concept_maps", "deep_feature_factorisation", "deep_lift", "eigen_cam",
    "eigen_grad_cam", "expected_gradients", "explanation", "extremal_perturbation", "feature_ablation", "fem",
    "finer_cam", "full_grad", "grad_cam", "grad_cam_elementwise", "grad_cam_layers", "grad_cam_plus_plus", "gradient",
    "gradient_attention", "gradient_shap", "guided_backprop", "guided_grad_cam", "hires_cam", "input_x_gradient",
    "integrated_gradients", "itti_koch_niebur", "kernel_shap", "kpca_cam", "layer_cam", "le_grad", "lime", "lrp",
    "metrics", "occlusion", "random_map", "refine_cam", "relevance", "relevance_rules", "resolve", "rise", "score_cam",
    "seg_eigen_cam", "shapley_cam", "smooth_grad", "smooth_grad_cam_plus_plus", "spectral_residual", "targets",
    "var_grad", "xgrad_cam",
]  # fmt: skip
