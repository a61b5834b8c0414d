"""Writes the page of a study: one file with its verdicts, curves, images and maps."""
