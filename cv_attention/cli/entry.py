"""Dispatches ``cv-attention`` to its commands."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from cv_attention import __version__
from cv_attention.cli.errors import UserError, user_errors
from cv_attention.cli.interrupting import INTERRUPTED, die_of_interrupt_at_exit, end_imports_at_once
from cv_attention.extras import require
from cv_attention.suggest import suggest

# A folder of `cli.commands` -> its commands. Each is a module with run(arguments); only the requested one is imported.
_FOLDERS = {
    "training": {
        "fit": "train a classifier, a reader of texts or a network with a memory, and test it",
        "test": "evaluate a finished run again",
        "data": "check the images of a data set before training",
        "folds": "divide the training images for cross-validation",
        "compare": "show which networks beat a reference, and how many more seeds are needed",
        "study": "train several networks and find out which attention helps",
    },
    "looking": {
        "saliency": "explain images with a trained network",
        "evaluate-saliency": "evaluate saliency methods on a trained network",
        "demo": "look at photographs with a network, on a local page",
        "read": "read the texts of images with a trained network",
        "recall": "name images by a few labelled ones, without training",
        "report": "build the HTML report of runs",
        "figure": "write figures of a run's maps for papers, and animations",
        "convert": "write maps for FiftyOne, or as a COCO data set",
        "export": "write a trained network for other programs",
        "push": "share a trained network on the Hugging Face Hub",
    },
    "catalogues": {
        "blocks": "list the attention blocks",
        "heads": "list the heads that read texts or recall images",
        "plan": "show where a block would go in a network",
    },
}
COMMANDS = {command: what for commands in _FOLDERS.values() for command, what in commands.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs ``cv-attention`` with command-line arguments and returns its exit code.

    0: success. 1: training failed (a non-finite loss, a full disk), or an export had no usable image. 2: a mistake in
    the arguments, the configuration or a file. Errors are reported in one line on standard error. When stopped by
    SIGTERM, training writes a checkpoint and an export writes its manifest, and the exit code is 143; Ctrl-C does the
    same with exit code 130. Without `arguments`, the process ends itself by SIGINT after Ctrl-C, since only then does a
    shell end its loop.

    Args:
        arguments: The command and its options; None takes those of the process.

    Returns:
        The exit code.

    Examples:
        >>> from cv_attention.cli import main
        >>> main(["plam"])  # what is wrong is reported on standard error
        2
        >>> main(["--version"])
        cv-attention ...
        0
    """
    if arguments is None:
        return run_process(sys.argv[1:])
    try:
        code = _run(list(arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # such as by `| head`; Python would complain again when closing the stream
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _run(arguments: Sequence[str]) -> int:
    """Runs the command named by the first argument; returns the exit code."""
    command = arguments[0] if arguments else "--help"
    if command in ("-h", "--help"):
        print(_usage())
        return 0
    if command == "--version":
        print(f"cv-attention {__version__}")
        return 0
    try:
        if command not in COMMANDS:
            raise UserError(f"unknown command {command}{suggest(command, COMMANDS)}")
        with user_errors():
            require("train", "the command line")
        folder = next(folder for folder, commands in _FOLDERS.items() if command in commands)
        module = import_module(f"cv_attention.cli.commands.{folder}.{command.replace('-', '_')}")
        run: Callable[[Sequence[str]], None] = module.run
        run(arguments[1:])
    except UserError as error:
        shown = "".join(letter if letter.isprintable() else "?" for letter in str(error))  # names may come from files
        print(f"cv-attention: error: {shown}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt as stop:
        message = str(stop) if stop.args else INTERRUPTED  # empty: another process has printed it
        if message:
            print(message, file=sys.stderr)
        return 130
    return 0


def run_process(arguments: Sequence[str]) -> int:
    """Runs ``cv-attention`` as the main program of this process, and returns its exit code.

    After Ctrl-C, Python shuts down as usual, and the process finally ends itself by SIGINT.
    """
    ended = die_of_interrupt_at_exit()  # registered first, so that it is called last
    end_imports_at_once()
    code = main(list(arguments))
    if code == 130:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C need not wait
        ended.append(code)
    return code


def _usage() -> str:
    groups = ("\n".join(f"  {name:<19}{what}" for name, what in group.items()) for group in _FOLDERS.values())
    rows = "\n\n".join(groups)
    return (
        f"usage: cv-attention COMMAND [options]\n\ncommands:\n{rows}\n\ncv-attention COMMAND --help shows its options."
    )
