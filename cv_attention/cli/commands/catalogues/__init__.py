"""Implements the commands that list blocks and heads, and show where they would go."""
