"""Implements the saliency methods, grouped by what they look at."""
