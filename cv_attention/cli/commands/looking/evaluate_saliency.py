"""``cv-attention evaluate-saliency``: evaluates saliency methods on a trained network."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser

from cv_attention.cli.devices import find_device
from cv_attention.cli.errors import user_errors
from cv_attention.cli.opening import add_network, open_network
from cv_attention.cli.parsing import parse
from cv_attention.cli.places import check_folder
from cv_attention.cli.terminal import terminal_width
from cv_attention.extras import require_for


def run(arguments: Sequence[str]) -> None:
    """Prints the table of methods and measures, and writes it as Markdown, CSV and JSON."""
    parser = ArgumentParser(prog="cv-attention evaluate-saliency", exit_on_error=False)
    add_network(parser, "run")
    parser.add_argument("-o", "--out", required=True, help="Folder to write to.")
    parser.add_argument(
        "--methods", nargs="+", help="Saliency methods (default: those that take only a few forward passes)."
    )
    parser.add_argument("--measures", nargs="+", help="Columns of the table (default: all; see docs/evaluation.md).")
    parser.add_argument(
        "--images", type=int, default=256, help="Number of images of the split, spread over its classes."
    )
    parser.add_argument("--split", type=Literal["train", "val", "test"], default="test", help="Split of the data set.")
    parser.add_argument("--target", type=Literal["predicted", "true"], default="predicted", help="Class to explain.")
    parser.add_argument("--mosaics", type=int, default=64, help="Number of mosaics for the grid pointing game.")
    parser.add_argument("--batch_size", type=int, default=32, help="Images per batch.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of the mosaics and the bootstrap.")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")
    options = parse(parser, arguments)
    check_folder(Path(options.out))
    chosen = {name: list(options[name]) for name in ("methods", "measures") if options[name]}
    with user_errors():
        for method in chosen.get("methods", ()):
            require_for(method)
        from cv_attention import judging

        network, root = open_network(parser, options, "run")
        judged = judging.evaluate_saliency(
            network,
            **chosen,
            **{name: options[name] for name in ("images", "split", "target", "mosaics", "batch_size", "seed")},
            root=root,
            device=find_device(options.device),
            say=lambda what: print(what, file=sys.stderr),
            trust=options.trust,
        )
        paths = judging.write(judged, Path(options.out))
    print(judging.printed(judged, terminal_width()))
    for what, why in judged.left_out.items():
        print(f"left out: {what}: {why}", file=sys.stderr)
    print("written:", *paths)
