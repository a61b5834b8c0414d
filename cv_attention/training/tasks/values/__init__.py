"""Defines the task of predicting numbers."""
