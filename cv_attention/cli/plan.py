"""``cv-attention plan``: show where a block would go in a network, and what it costs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser, Namespace

from cv_attention.cli.devices import find_device
from cv_attention.cli.errors import user_errors
from cv_attention.cli.parsing import parse
from cv_attention.cli.places import check_file
from cv_attention.config import BlockSpec


def run(arguments: Sequence[str]) -> None:
    """Prints the table of sites, and the totals beside the plain model's."""
    options = parse(_parser(), arguments)
    if options.json:
        check_file(Path(options.json))
    with user_errors():
        _show(options)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="cv-attention plan", exit_on_error=False)
    parser.add_argument("model", help="Backbone: resnet20, timm or torchvision names, ...")
    parser.add_argument("--block", type=BlockSpec, required=True, help="Block, or {position: block, ...}.")
    parser.add_argument("--at", type=str | list[str], default="residual", help="A position, a glob, or a list of them.")
    parser.add_argument("--init", type=Literal["plain", "identity"], default="plain", help="How the blocks start.")
    parser.add_argument("--train", type=Literal["all", "blocks", "blocks+head"], default="all", help="Trained parts.")
    parser.add_argument("--size", type=int, help="Side of the images in pixels; default: the model's own.")
    parser.add_argument("--classes", type=int, default=1000, help="Number of classes.")
    parser.add_argument("--device", default="auto", help="Where to measure: auto, cpu, cuda, ...")
    parser.add_argument("--rounds", type=int, default=20, help="Forwards to be timed; 0: none.")
    parser.add_argument("--json", type=str, metavar="FILE", help="Write everything to this file too.")
    return parser


def _show(options: Namespace) -> None:
    import copy

    from cv_attention import backbones
    from cv_attention.backbones.dry_run import example_input
    from cv_attention.backbones.measuring import compare

    plain = backbones.build(options.model, num_classes=options.classes).to(find_device(options.device))
    size = (options.size, options.size) if options.size else None
    attended = copy.deepcopy(plain)
    planned = backbones.insert(
        attended, options.block, options.at, init=options.init, input_size=size, train=options.train
    )
    totals = compare(plain, attended, example_input(plain, planned.input_shape), rounds=options.rounds)
    print(planned, totals, sep="\n\n")
    if costly := backbones.excess(plain, options.block, planned):
        print(f"\n{costly}")
    if options.json:
        content = {"backbone": options.model, "plan": planned.to_dict(), "totals": totals.to_dict()}
        Path(options.json).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
