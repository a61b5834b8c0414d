"""Implements the commands, one per file, each with ``run(arguments)``."""
