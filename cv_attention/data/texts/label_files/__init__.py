"""Reads label files, which say what is written in images: one file per format, and a table of all."""
