"""Implements the saliency methods, grouped by what they use."""
