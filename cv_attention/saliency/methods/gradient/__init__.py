"""Gradients down to the pixels."""
