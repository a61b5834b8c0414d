"""Trains what is missing of a study, in a pool of processes."""
