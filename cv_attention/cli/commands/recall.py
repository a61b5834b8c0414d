"""``cv-attention recall``: names images by a few labelled ones, without training."""

import signal
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from cv_attention.cli.errors import UserError, user_errors
from cv_attention.cli.opening import add_network, open_network
from cv_attention.cli.parsing import parse
from cv_attention.cli.places import check_folder
from cv_attention.config import RecallExport
from cv_attention.strips import shown

if TYPE_CHECKING:
    from cv_attention.recall_export import LeftOut, RecalledImages, Support

_LONGEST = 40  # letters of a class's name in a table


def run(arguments: Sequence[str]) -> None:
    """Writes the answers and pictures, and prints how many and where."""
    parser = _parser()
    options = parse(parser, arguments)
    if not options.images and not options.leave_one_out:
        raise UserError("give images to name after the folder of labelled ones, or --leave-one-out")
    if options.images and options.out is None:
        raise UserError("give the folder to write to: -o OUT")
    if options.images:
        check_folder(Path(options.out))
    config = RecallExport(**{field.name: options[field.name] for field in fields(RecallExport)})
    with user_errors():
        result = _recall(parser, options, config)
    if result is not None and result.is_main:
        _report(result)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="cv-attention recall", exit_on_error=False)
    parser.add_argument("support", metavar="SUPPORT", help="Folder with a folder of labelled images for each class.")
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="Images to name: files, folders, or globs.")
    add_network(parser, "--checkpoint")
    parser.add_argument("-o", "--out", help="Folder to write to; an interrupted export resumes there.")
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace another export in the folder.")
    parser.add_argument(
        "--leave-one-out",
        action="store_true",
        help="Print how many of the labelled images are named rightly by the others.",
    )
    parser.add_class_arguments(RecallExport, nested_key=None)
    return parser


def _recall(parser: ArgumentParser, options: Namespace, config: RecallExport) -> "RecalledImages | None":
    from lightning.fabric.utilities.rank_zero import _get_rank

    from cv_attention import recall_export, training
    from cv_attention.config.bounds import check_bounds

    check_bounds(config)
    network, _ = open_network(parser, options, "--checkpoint")
    support: Path | Support = Path(options.support)
    if options.leave_one_out:
        trained, progress = training.load(network, options.trust), sys.stderr.isatty()
        support = recall_export.open_support(support, trained, config, progress=progress)
        found = recall_export.leave_one_out(support)
        if not _get_rank():  # the first of the processes
            _print_left_out(support, found, notices=not options.images)
    if not options.images:
        return None
    return recall_export.recall_images(
        network,
        support,
        [Path(image) for image in options.images],
        Path(options.out),
        config,
        overwrite=options.overwrite,
        progress=sys.stderr.isatty(),
        trust=options.trust,
    )


def _print_left_out(support: "Support", found: "LeftOut", *, notices: bool) -> None:
    for line in support.notices if notices else ():
        print(f"recall: {line}", file=sys.stderr)
    mean, low, high = (100 * value for value in found.accuracy)
    right, count, memory = sum(found.right.values()), sum(found.count.values()), support.memory
    print(
        f"leave one out: {right} of {count} labelled images named rightly, {mean:.1f} % [{low:.1f}, {high:.1f}] "
        f"(Wilson, 95 %), strength {memory.strength:g}, {memory.strength_from}"
    )
    names = [shown(name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…") for name in found.count]
    for name, counted in zip(names, found.count, strict=True):
        print(f"  {name:<{max(map(len, names))}}  {found.right[counted]} of {found.count[counted]}")


def _report(result: "RecalledImages") -> None:
    if result.signal and not result.error:
        from cv_attention.training.stopping.interruption import Terminated

        done = f"{result.recognised} of {result.recognised + result.failed + result.left}"
        print(f"stopped: {done} images named; run the same command again to resume", file=sys.stderr)
        if result.signal == signal.SIGINT:
            raise KeyboardInterrupt("")
        raise Terminated(result.signal)
    print(
        f"{result.recognised} images named, {result.failed} left out: {result.classes} "
        f"({result.new} now, {result.new / result.seconds:.0f} images/s)"
    )
    if result.error:
        raise UserError(
            f"stopped with {result.left} images left: {result.error}; finished shards are complete, "
            "and the same command resumes from there"
        )
    if result.failed and not result.recognised:
        raise UserError(f"no image could be used: {result.first_failure}", code=1)
    if result.failed:
        print(f"left out: {result.first_failure}", file=sys.stderr)
