"""Implements methods based on the gradient with respect to the pixels."""
