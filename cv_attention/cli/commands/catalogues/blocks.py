"""``cv-attention blocks``: lists the attention blocks, or shows one."""

import inspect
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from jsonargparse import ArgumentParser

from cv_attention.blocks import CATALOGUE, Entry
from cv_attention.blocks.catalogue import find
from cv_attention.cli.errors import UserError, one_line
from cv_attention.cli.parsing import parse
from cv_attention.cli.terminal import terminal_width
from cv_attention.suggest import suggest
from cv_attention.tables import markdown_table, text_table

Column = Literal["name", "family", "year", "map", "parameters", "flops", "elementwise"]
HEADER = ("name", "family", "year", "map", "parameters", "flops", "elementwise", "title")
SHAPE = "64x56x56"

PAGE = """\
# Blocks

<!-- Written by `python -m cv_attention.cli blocks --markdown > docs/blocks.md`; a test fails when it is stale. -->

Every block keeps the shape (B, C, H, W) of its input. `cv-attention blocks NAME` shows one in full: its equation, its
options and their defaults. `cv_attention.blocks.create(NAME, channels, **options)` creates one.

- *map*: kinds of the attention maps that `cv_attention.record` sees: `channel` (B, C, 1, 1), `spatial` (B, 1, H, W),
  `joint` (B, C, H, W), `pairwise` (B, heads, queries, H, W), `alignment` (B, heads, queries, keys).
- *start*: the factor by which a fresh block scales a random input (1: an identity); none where it does more.
- *parameters*, *FLOPs*, *element-wise*: with the default options, for one feature map of {shape}. FLOPs are those of
  convolutions and matrix products, a multiply-add as two, as in a plan; element-wise operations count one per element.
  `--shape CxHxW` gives them for others.
"""


def run(arguments: Sequence[str]) -> None:
    """Prints the catalogue, or one block in full."""
    parser = ArgumentParser(prog="cv-attention blocks", exit_on_error=False)
    parser.add_argument("name", nargs="?", help="Block to show in full.")
    parser.add_argument(
        "--shape", default=SHAPE, metavar="CxHxW", help="Shape of the feature map for which costs are computed."
    )
    parser.add_argument("--family", help="Only this family: channel, spatial, mixed, ...")
    parser.add_argument("--map", help="Only blocks with a map of this kind: channel, spatial, joint, pairwise, ...")
    parser.add_argument("--sort", type=Column, default="family", help="Column to sort the rows by.")
    parser.add_argument("--markdown", action="store_true", help="Print a Markdown page like docs/blocks.md.")
    options = parse(parser, arguments)
    shape = _shape(options.shape)
    if options.name is not None:
        print(_in_full(options.name, shape))
        return
    entries = _chosen(options.family, options.map)
    rows = sorted((_row(entry, shape) for entry in entries), key=lambda row: _place(row, options.sort))
    if options.markdown:
        print(_page(rows, shape))
    else:
        cells = [[row[name] for name in HEADER] for row in rows]
        print(text_table(HEADER, cells, width=terminal_width(), wrap=("map", "title")))


def _chosen(family: str | None, kind: str | None) -> list[Entry]:
    """Returns the entries of `family` with a map of `kind`; None means any."""
    _known("family", family, [entry.family for entry in CATALOGUE.values()])
    _known("kind of map", kind, [map_ for entry in CATALOGUE.values() for map_ in entry.maps])
    entries = [e for e in CATALOGUE.values() if family in (None, e.family) and (kind is None or kind in e.maps)]
    if not entries:
        raise UserError(f"no block of family {family} has a map of kind {kind}")
    return entries


def _known(what: str, value: str | None, known: Iterable[str]) -> None:
    if value is not None and value not in (names := list(dict.fromkeys(known))):
        raise UserError(f"unknown {what} {value}{suggest(value, names)}")


def _place(row: dict[str, Any], column: str) -> tuple[Any, ...]:
    """Returns the sort key of a row; missing costs come last."""
    return row[column] is None, row[column], row["name"]


def _row(entry: Entry, shape: tuple[int, int, int]) -> dict[str, Any]:
    """Returns the row of a block; costs are None if it cannot be built for this number of channels."""
    from cv_attention import blocks

    try:
        cost = blocks.cost(entry.name, *shape)
        costs = {
            "parameters": cost.parameters,
            "flops": cost.products,
            "elementwise": cost.elementwise,
            "refusal": None,
        }
    except ValueError as error:
        costs = {"parameters": None, "flops": None, "elementwise": None, "refusal": one_line(error)}
    return {**vars(entry), "family": entry.family, "map": ", ".join(dict.fromkeys(entry.maps)), **costs}


def _page(rows: list[dict[str, Any]], shape: tuple[int, int, int]) -> str:
    """Returns the catalogue as a Markdown document, one table per family."""
    parts = [PAGE.format(shape="×".join(map(str, shape)))]
    for family in dict.fromkeys(entry.family for entry in CATALOGUE.values()):
        cells = [
            [
                f"`{row['name']}`",
                f"[{row['title']}]({row['paper']})",
                row["year"],
                row["map"],
                *(row[name] for name in ("gate", "parameters", "flops", "elementwise")),
            ]
            for row in rows
            if row["family"] == family
        ]
        if cells:
            header = ("name", "block", "year", "map", "start", "parameters", "FLOPs", "element-wise")
            parts.append(f"## {family}\n\n{markdown_table(header, cells)}\n")
    return "\n".join(parts).rstrip("\n")


def _in_full(name: str, shape: tuple[int, int, int]) -> str:
    try:
        entry = find(name)
    except ValueError as error:
        raise UserError(one_line(error)) from error
    row = _row(entry, shape)
    facts = [f"family {entry.family}", str(entry.year), f"map: {row['map']}"]
    if entry.gate is not None:
        facts.append(f"starts at {entry.gate:g}")
    facts.append(entry.paper)
    costs = (
        row["refusal"]
        or f"{row['parameters']:,} parameters, {row['flops']:,} FLOPs, {row['elementwise']:,} element-wise operations"
    )
    signature = str(inspect.signature(entry.cls)).removesuffix(" -> None")
    return (
        f"{name}: {entry.title}\n{' · '.join(facts)}\nat {'×'.join(map(str, shape))}: {costs}\n\n"
        f"{entry.cls.__name__}{signature}\n\n{inspect.getdoc(entry.cls)}"
    )


def _shape(text: str) -> tuple[int, int, int]:
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UserError(f"--shape must be channels, height and width such as 64x56x56, got {text}")
    channels, height, width = map(int, parts)
    return channels, height, width
