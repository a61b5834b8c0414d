"""Memories that a controller writes to and reads from, step by step: NTM, DNC, MANN, a growing list, and none."""
