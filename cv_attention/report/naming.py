"""Names maps in figures as the page does: saliency methods as their papers write them, blocks by their place."""

import re
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase

from cv_attention.report.read.recording import Column

METHODS = {
    "grad_cam": "Grad-CAM",
    "grad_cam_plus_plus": "Grad-CAM++",
    "smooth_grad_cam_plus_plus": "Smooth Grad-CAM++",
    "xgrad_cam": "XGrad-CAM",
    "layer_cam": "LayerCAM",
    "refine_cam": "Refine-CAM",
    "hires_cam": "HiResCAM",
    "finer_cam": "Finer-CAM",
    "shapley_cam": "ShapleyCAM",
    "eigen_cam": "EigenCAM",
    "eigen_grad_cam": "EigenGradCAM",
    "score_cam": "Score-CAM",
    "ablation_cam": "Ablation-CAM",
    "full_grad": "FullGrad",
    "guided_grad_cam": "Guided Grad-CAM",
    "guided_backprop": "Guided backprop",
    "input_x_gradient": "Input × gradient",
    "gradient": "Gradient",
    "integrated_gradients": "Integrated gradients",
    "expected_gradients": "Expected gradients",
    "smooth_grad": "SmoothGrad",
    "var_grad": "VarGrad",
    "gradient_shap": "GradientSHAP",
    "occlusion": "Occlusion",
    "rise": "RISE",
    "lime": "LIME",
    "kernel_shap": "KernelSHAP",
    "deep_lift": "DeepLIFT",
    "lrp": "LRP",
    "attn_lrp": "AttnLRP",
    "attention_flow": "Attention flow",
    "attention_rollout": "Attention rollout",
    "block_maps": "Maps of the blocks",
    "cam": "CAM",
    "centre_bias": "Centre bias",
    "deep_feature_factorisation": "Deep feature factorisation",
    "extremal_perturbation": "Extremal perturbation",
    "feature_ablation": "Feature ablation",
    "fem": "FEM",
    "grad_cam_elementwise": "Grad-CAM elementwise",
    "gradient_attention": "Gradient attention",
    "itti_koch_niebur": "Itti, Koch and Niebur",
    "kpca_cam": "KPCA-CAM",
    "le_grad": "LeGrad",
    "random_map": "Random map",
    "seg_eigen_cam": "SegEigenCAM",
    "spectral_residual": "Spectral residual",
}


def column_name(title: str) -> str:
    """Returns what a column of maps is called above its pictures.

    Args:
        title: The column's title in the recording, such as ``layer_cam`` or ``layer1.0.bn2.attention.map``.
    """
    return METHODS.get(title) or re.sub(r"(\.attention)?\.map$", "", title) or title


def column_names(titles: Sequence[str]) -> dict[str, str]:
    """Returns title -> name of the columns of a figure; titles themselves where two would have the same name."""
    names = {title: column_name(title) for title in titles}
    often = Counter(names.values())
    return {title: name if often[name] == 1 else title for title, name in names.items()}


def is_called(column: Column, wanted: str) -> bool:
    """Returns whether a reader means `column` by `wanted`: its key, its title or name, or a glob over these two."""
    names = (column.title, column_name(column.title))
    return wanted == column.key or any(wanted == name or fnmatchcase(name, wanted) for name in names)
