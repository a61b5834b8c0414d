"""How mistakes of the person at the keyboard reach them: one line that says what would be right, exit code 2."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Something to be printed in one line, without a traceback."""


def nearest(wrong: str, right: Iterable[str]) -> str:
    """Returns a clause that names what is closest to `wrong` among `right`, or all of a short list, or nothing."""
    right = sorted(right)
    close = difflib.get_close_matches(wrong, right, n=3, cutoff=0.65)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f"; there are {', '.join(right)}" if 0 < len(right) <= 12 else ""


@contextmanager
def user_errors() -> Iterator[None]:
    """Turns the errors that the library raises for bad input into `UserError`; wraps preparation, never training."""
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    try:
        yield
    except (ValueError, OSError, MisconfigurationException) as error:
        raise UserError(one_line(error)) from error


def one_line(error: BaseException) -> str:
    """Returns the message of `error` in one line."""
    return " ".join(str(error).split()) or type(error).__name__
