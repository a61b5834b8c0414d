"""Implements methods that follow gradients down to the pixels."""
