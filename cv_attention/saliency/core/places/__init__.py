"""Finds which outputs of a model are maps of the image, and where they have its positions."""
