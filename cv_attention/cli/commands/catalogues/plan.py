"""``cv-attention plan``: shows where a block would be inserted into a network, and what it costs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentParser, Namespace

from cv_attention.cli.class_paths import restored
from cv_attention.cli.devices import find_device
from cv_attention.cli.errors import user_errors
from cv_attention.cli.parsing import parse
from cv_attention.cli.places import check_file
from cv_attention.config import BlockSpec, HeadSpec


def run(arguments: Sequence[str]) -> None:
    """Prints the sites of a block and a head, and totals next to the plain model's; without them all possible sites."""
    options = parse(_parser(), arguments)
    for name in ("block", "head", "options"):
        setattr(options, name, restored(getattr(options, name)))
    if options.json:
        check_file(Path(options.json))
    with user_errors():
        _show(options)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="cv-attention plan", exit_on_error=False)
    parser.add_argument("model", help="Backbone: one of ours, such as resnet20, timm/NAME or torchvision/NAME.")
    parser.add_argument("--options", type=dict[str, Any], default={}, help="Options of the backbone's constructor.")
    parser.add_argument(
        "--block", type=BlockSpec, help="Block, or {position: block, ...}; omit it to list the available sites."
    )
    parser.add_argument("--at", type=str | list[str], default="residual", help="A position, a glob, or a list of them.")
    parser.add_argument("--init", type=Literal["plain", "identity"], default="plain", help="How the blocks start.")
    parser.add_argument(
        "--train", type=Literal["all", "blocks", "blocks+head"], default="all", help="Parameters to train."
    )
    parser.add_argument("--head", type=HeadSpec, help="Head that pools the last feature map, such as additive.")
    parser.add_argument(
        "--head-modules",
        type=str | list[str],
        help="Globs over the names of the heads (default: the modules that make the output).",
    )
    parser.add_argument("--size", type=int | list[int], help="Side, [H, W] or [C, H, W] of the images in pixels.")
    parser.add_argument("--classes", type=int, default=1000, help="Number of classes.")
    parser.add_argument("--device", default="auto", help="Where to measure: auto, cpu, cuda, ...")
    parser.add_argument("--rounds", type=int, default=20, help="Forward passes to time; 0 skips timing.")
    parser.add_argument("--json", type=str, metavar="FILE", help="Also write all results to this file.")
    return parser


def _show(options: Namespace) -> None:
    import copy

    from cv_attention import backbones
    from cv_attention.heads import options_of_pay_attention, placed

    plain = backbones.build(options.model, num_classes=options.classes, **options.options)
    plain = plain.to(find_device(options.device))
    size = tuple(options.size) if isinstance(options.size, list) else options.size
    pairs = placed(options.block, options.at, options.head)
    if options_of_pay_attention(options.head) is not None:
        from cv_attention.training.tasks.network import add_pay_attention

        print(add_pay_attention(copy.deepcopy(plain), options.head, size), end="\n\n" if pairs else "\n")
        if not pairs:
            return
    if not pairs:
        sites = backbones.overview(plain, input_size=size)
        print(sites)
        _write(options, {"overview": sites.to_dict()})
        return
    attended = copy.deepcopy(plain)
    planned = backbones.insert(
        attended,
        *((pairs,) if options.head else (options.block, options.at)),  # pyright: ignore[reportArgumentType]
        init=options.init,
        input_size=size,
        train=options.train,
        head=options.head_modules,
    )
    totals = backbones.measure(plain, attended, input_size=planned.input_shape, rounds=options.rounds)
    print(planned, totals, sep="\n\n")
    height, width = planned.input_shape[-2:]
    if note := backbones.too_small(plain, options.model, (height, width)):
        print(f"\n{note}")
    if costly := backbones.excess(plain, options.block, planned):
        print(f"\n{costly}")
    _write(options, {"plan": planned.to_dict(), "totals": totals.to_dict()})


def _write(options: Namespace, content: dict[str, Any]) -> None:
    if options.json:
        text = json.dumps({"backbone": options.model} | content, indent=2, ensure_ascii=False)
        Path(options.json).write_text(text + "\n", encoding="utf-8")
