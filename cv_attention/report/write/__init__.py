"""Writes the report: one folder with the page, its data and its images."""
