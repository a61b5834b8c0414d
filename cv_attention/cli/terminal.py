"""Measures the terminal, and keeps texts of files from controlling it."""

import shutil
import sys


def printable(text: str) -> str:
    """Escapes control characters in a text that may come from a file; line breaks stay."""
    return "".join(letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text)


def terminal_width() -> int | None:
    """Returns the characters in a line of the terminal; None if standard output is not a terminal, such as a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
