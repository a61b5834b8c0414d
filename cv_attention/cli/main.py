"""The table of commands."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from cv_attention import __version__
from cv_attention.cli.errors import Interrupted, UserError, user_errors
from cv_attention.extras import require
from cv_attention.suggest import suggest

# Each command is a module of this package with run(arguments); only the one that is asked for is imported.
COMMANDS = {
    "fit": "train a classifier and test it",
    "test": "evaluate a run again",
    "folds": "divide the training images for cross-validation",
    "blocks": "list the attention blocks",
    "plan": "show where a block would go in a network",
    "saliency": "explain images with a trained network",
    "evaluate-saliency": "judge saliency methods on a trained network",
    "export": "write a trained network for other programs",
    "compare": "tell which networks are better than a reference, and how many seeds are still needed",
    "report": "build the HTML report of runs",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs ``cv-attention`` with `arguments` (default: the process's) and returns its exit code.

    0: done. 1: a training could not go on (a loss that is no number, a full disk), or an export had no image that could
    be used. 2: a mistake in the arguments, the configuration or a file. Both are told in one line on standard error. A
    training that is stopped by SIGTERM writes a checkpoint, an export its manifest, and exits with 143; Ctrl-C does the
    same, and the exit code is 130.
    """
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # as by `| head`; Python would complain again when it closes the stream
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _run(arguments: Sequence[str]) -> int:
    """Runs the command that the arguments begin with; returns the exit code."""
    command = arguments[0] if arguments else "--help"
    if command in ("-h", "--help"):
        print(_usage())
        return 0
    if command == "--version":
        print(f"cv-attention {__version__}")
        return 0
    try:
        if command not in COMMANDS:
            raise UserError(f"there is no command {command}{suggest(command, COMMANDS)}")
        with user_errors():
            require("train", "the command line")
        run: Callable[[Sequence[str]], None] = import_module(f"cv_attention.cli.{command.replace('-', '_')}").run
        run(arguments[1:])
    except UserError as error:
        print(f"cv-attention: error: {error}", file=sys.stderr)
        return error.code
    except (Interrupted, KeyboardInterrupt) as stop:
        print(str(stop) or "cv-attention: interrupted", file=sys.stderr)
        return 130
    return 0


def _usage() -> str:
    rows = "\n".join(f"  {name:<19}{what}" for name, what in COMMANDS.items())
    return f"usage: cv-attention COMMAND [options]\n\ncommands:\n{rows}\n\ncv-attention COMMAND --help says more."
