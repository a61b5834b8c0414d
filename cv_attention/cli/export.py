"""``cv-attention export``: a trained network for other programs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser

from cv_attention.cli.errors import user_errors
from cv_attention.cli.parsing import parse
from cv_attention.extras import require


def run(arguments: Sequence[str]) -> None:
    """Writes the file, and prints what it takes and gives and how near it is to the network."""
    parser = ArgumentParser(prog="cv-attention export", exit_on_error=False)
    parser.add_argument("run", help="A run directory (its best checkpoint counts), a checkpoint or .safetensors.")
    parser.add_argument(
        "--format", type=Literal["onnx", "torch-export", "safetensors"], default="onnx", help="What to write."
    )
    parser.add_argument("-o", "--out", help="File to write; by default beside the checkpoint.")
    parser.add_argument("--maps", action="store_true", help="Attention maps as outputs too, by their modules' names.")
    parser.add_argument(
        "--normalised", action="store_true", help="Take normalised float32 images; default: uint8, normalised inside."
    )
    options = parse(parser, arguments)
    with user_errors():
        if options.format == "onnx":
            require("onnx", "format onnx")
        from cv_attention import training
        from cv_attention.training.deployment import export

        done = export(
            training.find_checkpoint(Path(options.run)),
            options.format,
            Path(options.out) if options.out else None,
            maps=options.maps,
            normalised=options.normalised,
        )
    print(done.path)
    if options.format != "safetensors":
        print(f"takes {done.input}")
    for name, difference in done.differences.items():
        print(f"gives {name}, within {difference:.1g} of the network's largest")
