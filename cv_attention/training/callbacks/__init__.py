"""Defines the callbacks of a training run: techniques, losses, progress and throughput."""
