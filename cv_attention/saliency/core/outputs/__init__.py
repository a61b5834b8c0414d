"""Holds what models return, what is made of it, and what a map says about it."""
