"""Saliency methods: (model, images, targets) -> (B, 1, H, W), raw values in float32."""

from cv_attention.saliency.grad_cam import grad_cam, grad_cam_layers

__all__ = ["grad_cam", "grad_cam_layers"]
