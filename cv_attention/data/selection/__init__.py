"""Selects which images are loaded: sampling, folds, and folders matched with class names."""
