"""Implements saliency maps from the model's own attention."""
