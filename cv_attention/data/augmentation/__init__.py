"""Augments and normalizes images, one by one or in whole batches."""
