"""``cv-attention export``: exports a trained network for other programs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser

from cv_attention.cli.errors import user_errors
from cv_attention.cli.opening import add_network, open_network
from cv_attention.cli.parsing import parse
from cv_attention.cli.places import check_file
from cv_attention.extras import require


def run(arguments: Sequence[str]) -> None:
    """Writes the file, and prints its inputs, its outputs and their deviation from the network's."""
    parser = ArgumentParser(prog="cv-attention export", exit_on_error=False)
    add_network(parser, "run")
    parser.add_argument(
        "--format", type=Literal["onnx", "torch-export", "safetensors"], default="onnx", help="File format."
    )
    parser.add_argument("-o", "--out", help="File to write (default: next to the checkpoint).")
    parser.add_argument(
        "--maps", action="store_true", help="Also output the attention maps, named after their modules."
    )
    parser.add_argument(
        "--normalised",
        action="store_true",
        help="Take normalised float32 images (default: uint8, normalised inside the exported network).",
    )
    options = parse(parser, arguments)
    if options.out:
        check_file(Path(options.out))
    with user_errors():
        if options.format == "onnx":
            require("onnx", "format onnx")
        from cv_attention.training.export.deployment import export

        network, _ = open_network(parser, options, "run")
        done = export(
            network,
            options.format,
            Path(options.out) if options.out else None,
            maps=options.maps,
            normalised=options.normalised,
            trust=options.trust,
        )
    print(done.path)
    if options.format != "safetensors":
        print(f"input: {done.input}")
    maps = len(done.differences) - 1
    gives = next(iter(done.differences)) + (f" and {maps} attention maps, named after their modules" if maps else "")
    worst = max(done.differences.values())
    near = f"within {worst:.1g} of the network's largest values" if worst else "exactly the network's values"
    print(f"output: {gives}, {near}")
