"""Reads tables and finds the images that they name: images with classes, and what label files of texts share."""
