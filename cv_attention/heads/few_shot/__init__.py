"""Classifies images by a few labelled ones that a network is shown, without training."""
