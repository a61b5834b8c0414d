"""``cv-attention evaluate-saliency``: evaluates saliency methods on a trained network."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

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
    parser.add_argument("--measures", nargs="+", help="Columns of the table (default: all but smooth_randomisation).")
    parser.add_argument(
        "--images", type=int, default=256, help="Number of images of the split, spread over its classes."
    )
    parser.add_argument("--split", type=Literal["train", "val", "test"], default="test", help="Split of the data set.")
    parser.add_argument("--target", type=Literal["predicted", "true"], default="predicted", help="Class to explain.")
    parser.add_argument("--mosaics", type=int, default=64, help="Number of mosaics for the grid pointing game.")
    parser.add_argument("--batch_size", type=int, default=32, help="Images per batch.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of the mosaics and the bootstrap.")
    parser.add_argument(
        "--steps",
        type=int,
        help="Forward passes per image of insertion_auc, deletion_auc and selectivity (default: as many as "
        "images are wide, and have patches).",
    )
    parser.add_argument(
        "--tune",
        metavar="METHOD",
        help="Tune this method's options instead: half of the images choose among --grid, the other half judges.",
    )
    parser.add_argument("--grid", nargs="+", metavar="OPTION=VALUE,VALUE", help="Values to try with --tune.")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")
    options = parse(parser, arguments)
    check_folder(Path(options.out))
    chosen = {name: list(options[name]) for name in ("methods", "measures") if options[name]}
    with user_errors():
        if bool(options.tune) != bool(options.grid):
            raise ValueError("--tune METHOD and --grid OPTION=VALUE,VALUE belong together")
        for method in chosen.get("methods", ()):
            require_for(method)
        from cv_attention import judging

        network, root = open_network(parser, options, "run")
        if options.tune:
            _tune(network, root, options)
            return
        judged = judging.evaluate_saliency(
            network,
            **chosen,
            **{name: options[name] for name in ("images", "split", "target", "mosaics", "batch_size", "seed", "steps")},
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


def _tune(network: Any, root: str | None, options: Any) -> None:
    """Prints what `tune_saliency` finds by the first of --measures, and writes it as ``tuning.txt``."""
    from cv_attention import judging
    from cv_attention.rundir.files import write_text

    require_for(options.tune)
    shared = {name: options[name] for name in ("images", "split", "target", "batch_size", "seed", "steps", "trust")}
    tuned = judging.tune_saliency(
        network,
        options.tune,
        _grid(options.grid),
        measure=(options.measures or ["road"])[0],
        root=root,
        device=find_device(options.device),
        **shared,
    )
    path = Path(options.out) / "tuning.txt"
    write_text(path, f"{tuned}\n")
    print(tuned)
    print("written:", path)


def _grid(given: Sequence[str]) -> dict[str, list[Any]]:
    """Reads ``steps=8,16`` as {"steps": [8, 16]}; values are YAML."""
    import yaml

    grid = {}
    for one in given:
        name, equals, values = one.partition("=")
        if not equals or not values:
            raise ValueError(f"--grid takes OPTION=VALUE,VALUE such as steps=8,32, got {one}")
        grid[name] = [yaml.safe_load(value) for value in values.split(",")]
    return grid
