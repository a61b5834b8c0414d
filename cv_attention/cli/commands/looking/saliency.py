"""``cv-attention saliency``: explains images with a trained network."""

import json
import re
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

_OF_FILES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".tar")  # no names of methods


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
    parser.add_argument(
        "--sheet",
        type=Literal["none", "svg", "pdf", "png"],
        default="none",
        help="A figure of the first images with all methods, for papers; `cv-attention figure` makes others.",
    )
    parser.add_class_arguments(SaliencyExport, nested_key=None)
    options = parse(parser, _with_method_list(arguments))
    check_folder(Path(options.out))
    config = SaliencyExport(**{field.name: options[field.name] for field in fields(SaliencyExport)})
    with user_errors():
        for method in config.methods:
            require_for(method)
        if options.manifest == "parquet":
            require("parquet", "manifest parquet")
        if options.sheet != "none":
            _check_sheet(config)
        from cv_attention.saliency_export import export_saliency

        network, root = open_network(parser, options, "--checkpoint")
        result = export_saliency(
            network,
            [Path(image) for image in options.images],
            Path(options.out),
            config,
            split=options.split,
            root=root,
            overwrite=options.overwrite,
            progress=sys.stderr.isatty(),
            trust=options.trust,
        )
    if result.is_main:
        try:
            _report(result)
        finally:
            if options.sheet != "none" and result.explained:
                _write_sheet(Path(options.out), options.sheet)


def _check_sheet(config: SaliencyExport) -> None:
    """Fails before anything is computed that a figure could not be made of."""
    require("figures", "--sheet")
    for name in ("maps", "inputs"):
        if getattr(config, name) == "none":
            raise ValueError(f"--sheet shows the {name} of the export, so they cannot be none")


def _write_sheet(out: Path, kind: str) -> None:
    from cv_attention import report

    with user_errors():
        print(report.figure(out, columns=["*"]).save(out / f"sheet.{kind}"))


def _with_method_list(arguments: Sequence[str]) -> list[str]:
    """Reads ``--method grad_cam layer_cam`` as a list; what is a file or named like an image is none of them."""
    found: list[str] = []
    left = list(arguments)
    while left:
        found.append(left.pop(0))
        if found[-1] != "--method" or not left:
            continue
        methods = [left.pop(0)]
        while left and _names_method(left[0]):
            methods.append(left.pop(0))
        found.append(methods[0] if len(methods) == 1 else json.dumps(methods))
    return found


def _names_method(word: str) -> bool:
    named = re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", word) is not None
    return named and not Path(word).exists() and Path(word).suffix.lower() not in _OF_FILES


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
