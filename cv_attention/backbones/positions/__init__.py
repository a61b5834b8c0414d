"""Finds where blocks can go in a traced model: stages, residual blocks, heads, and globs over module names."""
