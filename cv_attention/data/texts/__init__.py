"""Loads images with the texts that they show: drawn strings of digits, and folders with a label file."""
