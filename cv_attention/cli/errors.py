"""Turns errors into one line on standard error."""

from collections.abc import Iterator
from contextlib import contextmanager

_LONGEST = 1_600  # characters of a message


class UserError(Exception):
    """Signals an error that is printed in one line, without a traceback.

    Args:
        message: The line.
        code: Exit code: 2 for wrong input by the user, 1 for failures during the work.
    """

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(_shown(message))
        self.code = code


@contextmanager
def user_errors() -> Iterator[None]:
    """Converts the library's errors for bad input into `UserError`; wraps preparation, never training."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise UserError(one_line(error)) from error
    except MemoryError as error:
        raise UserError(f"out of memory: {one_line(error)}") from error
    except Exception as error:
        # by name: Lightning takes seconds to import, and may not be imported yet
        if "allocate memory" not in str(error) and type(error).__name__ != "MisconfigurationException":
            raise
        raise UserError(one_line(error)) from error


def one_line(error: BaseException) -> str:
    """Returns the message of `error` in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _shown(message: str) -> str:
    """Sanitizes a message for the terminal: escapes control characters and shortens long messages in the middle."""
    text = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in message)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 4 :]}"
