"""Implements the commands that look at images with a trained network, and at what it left behind."""
