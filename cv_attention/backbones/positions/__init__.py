"""Finds where blocks can go in a traced model: stages, residual units, heads, and globs over module names."""
