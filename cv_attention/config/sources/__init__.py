"""Configures the data sets that are drawn, and those whose images show texts."""
