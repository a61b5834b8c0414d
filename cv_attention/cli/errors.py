"""Turns errors into one line on standard error."""

from collections.abc import Iterator
from contextlib import contextmanager

_LONGEST = 1_600  # characters of a message


class UserError(Exception):
    """Something to be printed in one line, without a traceback.

    Args:
        message: The line.
        code: Exit code: 2 for a mistake of the person, 1 for something that went wrong later.
    """

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(_shown(message))
        self.code = code


@contextmanager
def user_errors() -> Iterator[None]:
    """Turns the errors that the library raises for bad input into `UserError`; wraps preparation, never training."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise UserError(one_line(error)) from error
    except MemoryError as error:
        raise UserError(f"this does not fit into memory: {one_line(error)}") from error
    except Exception as error:
        # by name: Lightning takes seconds to import, and need not have been
        if "allocate memory" not in str(error) and type(error).__name__ != "MisconfigurationException":
            raise
        raise UserError(one_line(error)) from error


def one_line(error: BaseException) -> str:
    """Returns the message of `error` in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _shown(message: str) -> str:
    """Makes a message fit for a terminal: no control characters of a file's, and the middle of a long one left out."""
    text = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in message)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 4 :]}"
