"""Provides the parts of saliency methods: targets, layers, activations, gradients, and fusion of layers."""
