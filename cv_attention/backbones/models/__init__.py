"""Builds backbones: our own networks, and those of timm and torchvision with their pretrained weights."""
