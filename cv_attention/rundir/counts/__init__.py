"""Defines files that count what was decided of the images of a split."""
