"""Implements methods that perturb the image and measure the change of the score."""
