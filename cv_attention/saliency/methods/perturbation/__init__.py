"""Implements methods that perturb the image and watch the score."""
