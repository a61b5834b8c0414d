"""Implements the commands around training: what they check, train, test, compare and study."""
