"""How mistakes of the person at the keyboard reach them: one line that says what would be right."""

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Something to be printed in one line, without a traceback.

    Args:
        message: The line.
        code: Exit code: 2 for a mistake of the person, 1 for something that went wrong later.
    """

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def user_errors() -> Iterator[None]:
    """Turns the errors that the library raises for bad input into `UserError`; wraps preparation, never training."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise UserError(one_line(error)) from error
    except Exception as error:
        # by name: Lightning takes seconds to import, and need not have been
        if type(error).__name__ != "MisconfigurationException":
            raise
        raise UserError(one_line(error)) from error


def one_line(error: BaseException) -> str:
    """Returns the message of `error` in one line."""
    return " ".join(str(error).split()) or type(error).__name__
