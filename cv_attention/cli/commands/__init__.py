"""Implements the commands, one per file, each with ``run(arguments)``; `cli.main` lists them by folder."""
