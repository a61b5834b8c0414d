"""``cv-attention saliency``: explain images with a trained network."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser

from cv_attention.cli.errors import UserError, user_errors
from cv_attention.cli.parsing import parse


def run(arguments: Sequence[str]) -> None:
    """Writes overlays, raw maps and a manifest, and prints how many and where."""
    parser = ArgumentParser(prog="cv-attention saliency", exit_on_error=False)
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="Image files, or folders of images.")
    parser.add_argument(
        "--checkpoint", required=True, help="A run directory (its best checkpoint counts) or a checkpoint file."
    )
    parser.add_argument("-o", "--out", required=True, help="Folder to write to.")
    parser.add_argument("--overlays", type=Literal["png", "jpg"], default="png", help="File format of the overlays.")
    parser.add_argument("--method", default="grad_cam", help="Saliency method: grad_cam, score_cam, rise, ...")
    parser.add_argument("--attention", type=bool, default=False, help="Draw the blocks' own maps too.")
    parser.add_argument("--batch_size", type=int, default=16, help="Images of one forward.")
    options = parse(parser, arguments)
    if options.batch_size < 1:
        raise UserError(f"--batch_size must be positive, got {options.batch_size}")
    with user_errors():
        from cv_attention import training
        from cv_attention.training.explaining import explain

        classifier = training.load(training.find_checkpoint(Path(options.checkpoint)))
        result = explain(
            classifier,
            [Path(image) for image in options.images],
            Path(options.out),
            overlays=options.overlays,
            method=options.method,
            attention=options.attention,
            batch_size=options.batch_size,
        )
    for failure in result.failures:
        print(f"left out: {failure}", file=sys.stderr)
    print(f"{result.images} images explained, {len(result.failures)} left out: {result.manifest}")
