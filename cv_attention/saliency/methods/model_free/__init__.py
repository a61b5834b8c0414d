"""Implements maps that ignore the model: baselines, and saliency from before deep learning."""
