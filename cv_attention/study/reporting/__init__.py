"""Collects the results of a study and writes its tables, charts and methods."""
