"""``cv-attention read``: reads the texts of images with a trained network."""

import signal
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser

from cv_attention.cli.errors import UserError, user_errors
from cv_attention.cli.opening import add_trust
from cv_attention.cli.parsing import parse
from cv_attention.cli.places import check_folder
from cv_attention.config import ReadingExport

if TYPE_CHECKING:
    from cv_attention.reading_export import ReadImages


def run(arguments: Sequence[str]) -> None:
    """Writes the texts and pictures, and prints how many and where."""
    parser = ArgumentParser(prog="cv-attention read", exit_on_error=False)
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="Image files, folders of images, or globs.")
    parser.add_argument(
        "--checkpoint", required=True, help="Run directory (its best checkpoint is used) or checkpoint file."
    )
    add_trust(parser)
    parser.add_argument("-o", "--out", required=True, help="Folder to write to; an interrupted export resumes there.")
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace another export in the folder.")
    parser.add_class_arguments(ReadingExport, nested_key=None)
    options = parse(parser, arguments)
    check_folder(Path(options.out))
    with user_errors():
        from cv_attention import training
        from cv_attention.reading_export import read_images

        result = read_images(
            training.find_checkpoint(Path(options.checkpoint)),
            [Path(image) for image in options.images],
            Path(options.out),
            ReadingExport(**{field.name: options[field.name] for field in fields(ReadingExport)}),
            overwrite=options.overwrite,
            progress=sys.stderr.isatty(),
            trust=options.trust,
        )
    if result.is_main:
        _report(result)


def _report(result: "ReadImages") -> None:
    if result.signal and not result.error:
        from cv_attention.training.stopping.interruption import Terminated

        done = f"{result.read} of {result.read + result.failed + result.left}"
        print(f"stopped: {done} images read; run the same command again to resume", file=sys.stderr)
        if result.signal == signal.SIGINT:
            raise KeyboardInterrupt("")
        raise Terminated(result.signal)
    print(
        f"{result.read} images read, {result.failed} left out: {result.readings} "
        f"({result.new} now, {result.new / result.seconds:.0f} images/s)"
    )
    if result.cer is not None and result.exact is not None:
        print(f"cer: {100 * result.cer:.2f} %, exact: {100 * result.exact:.1f} % of the images with a known text")
    if result.error:
        raise UserError(
            f"stopped with {result.left} images left: {result.error}; finished shards are complete, "
            "and the same command resumes from there"
        )
    if result.failed and not result.read:
        raise UserError(f"no image could be used: {result.first_failure}", code=1)
    if result.failed:
        print(f"left out: {result.first_failure}", file=sys.stderr)
