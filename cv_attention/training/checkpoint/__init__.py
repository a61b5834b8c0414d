"""Writes, reads, verifies and selects checkpoints and weights."""
