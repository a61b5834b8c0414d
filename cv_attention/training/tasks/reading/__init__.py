"""Defines the task of reading texts from images."""
