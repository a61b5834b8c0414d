"""Traces one forward of any model: its values, and the modules that computed them."""
