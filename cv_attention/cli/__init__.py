"""The command line, ``cv-attention <command>``. Torch is imported after the arguments have been parsed."""

from cv_attention.cli.entry import main

__all__ = ["main"]
