"""Traces one forward of any model: its values, the modules that made them, and what can be learnt from both."""
