"""Defines what tasks with classes share, losses and metrics, and the task of several classes per image."""
