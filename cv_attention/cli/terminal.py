"""Measures the terminal."""

import shutil
import sys


def terminal_width() -> int | None:
    """Returns the characters in a line of the terminal; None if standard output is not a terminal, such as a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
