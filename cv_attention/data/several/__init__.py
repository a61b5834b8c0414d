"""Draws images with several classes each."""
