"""Configures the data sets that are drawn."""
