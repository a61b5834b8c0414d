"""Configures the data sets that are drawn, those whose images show texts, and episodes."""
