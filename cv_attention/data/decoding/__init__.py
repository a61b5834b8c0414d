"""Decodes images of any kind and bit depth, and finds broken ones."""
