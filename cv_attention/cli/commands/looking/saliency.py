"""``cv-attention saliency``: explains images with a trained network."""

import signal
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jsonargparse import ArgumentParser

from cv_attention.cli.errors import UserError, user_errors
from cv_attention.cli.opening import add_network, open_network
from cv_attention.cli.parsing import parse
from cv_attention.cli.places import check_folder
from cv_attention.config import SaliencyExport
from cv_attention.extras import require, require_for

if TYPE_CHECKING:
    from cv_attention.saliency_export import Exported


def run(arguments: Sequence[str]) -> None:
    """Writes maps, pictures and a manifest, and prints how many and where."""
    parser = ArgumentParser(prog="cv-attention saliency", exit_on_error=False)
    parser.add_argument(
        "images", nargs="*", metavar="IMAGE", help="Image files, folders of images, or WebDataset tar archives."
    )
    add_network(parser, "--checkpoint")
    parser.add_argument("-o", "--out", required=True, help="Folder to write to; an interrupted export resumes there.")
    parser.add_argument(
        "--split", type=Literal["train", "val", "test"], help="Split of the data set, instead of IMAGE."
    )
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace another export in the folder.")
    parser.add_class_arguments(SaliencyExport, nested_key=None)
    options = parse(parser, arguments)
    check_folder(Path(options.out))
    with user_errors():
        require_for(options.method)
        if options.manifest == "parquet":
            require("parquet", "manifest parquet")
        from cv_attention.saliency_export import export_saliency

        network, root = open_network(parser, options, "--checkpoint")
        result = export_saliency(
            network,
            [Path(image) for image in options.images],
            Path(options.out),
            SaliencyExport(**{field.name: options[field.name] for field in fields(SaliencyExport)}),
            split=options.split,
            root=root,
            overwrite=options.overwrite,
            progress=sys.stderr.isatty(),
            trust=options.trust,
        )
    if result.is_main:
        _report(result)


def _report(result: "Exported") -> None:
    if result.signal and not result.error:
        from cv_attention.training.stopping.interruption import Terminated

        done = f"{result.explained} of {result.explained + result.failed + result.left}"
        print(f"stopped: {done} images explained; run the same command again to resume", file=sys.stderr)
        if result.signal == signal.SIGINT:
            raise KeyboardInterrupt("")
        raise Terminated(result.signal)
    print(
        f"{result.explained} images explained, {result.failed} left out: {result.manifest} "
        f"({result.new} now, {result.new / result.seconds:.0f} images/s)"
    )
    if result.not_finite:
        words = (
            f"{result.not_finite} of {result.explained} images have maps or logits with values that are not finite "
            "(NaN or infinite); see not_finite in the manifest"
        )
        if result.not_finite == result.explained and not result.error:
            raise UserError(words, code=1)
        print(f"not finite: {words}", file=sys.stderr)
    if result.error:
        raise UserError(
            f"stopped with {result.left} images left: {result.error}; finished shards are complete, "
            "and the same command resumes from there"
        )
    if result.failed:
        first = (
            f"{result.first_failure}; the manifest lists all failures" if result.failed > 1 else result.first_failure
        )
        if not result.explained:
            raise UserError(f"no image could be used: {first}", code=1)
        print(f"left out: {first}", file=sys.stderr)
