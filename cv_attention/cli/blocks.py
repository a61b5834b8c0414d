"""``cv-attention blocks``: list the attention blocks."""

import inspect
from collections.abc import Sequence
from typing import Any, Literal

from jsonargparse import ArgumentParser

from cv_attention.blocks import CATALOGUE, Entry
from cv_attention.cli.errors import UserError, one_line
from cv_attention.cli.parsing import parse
from cv_attention.cli.table import table
from cv_attention.suggest import suggest

Column = Literal["name", "family", "year", "parameters", "flops"]
HEADER = ("name", "family", "year", "map", "parameters", "flops", "title")


def run(arguments: Sequence[str]) -> None:
    """Prints the catalogue, or one block in full."""
    parser = ArgumentParser(prog="cv-attention blocks", exit_on_error=False)
    parser.add_argument("name", nargs="?", help="A block, to be shown in full.")
    parser.add_argument("--shape", default="64x56x56", metavar="CxHxW", help="Feature map that costs are given for.")
    parser.add_argument("--family", help="Only this family: channel, spatial, mixed, ...")
    parser.add_argument("--map", help="Only blocks with a map of this kind: channel, spatial, joint, pairwise, ...")
    parser.add_argument("--sort", type=Column, default="family", help="What the rows are sorted by.")
    parser.add_argument("--markdown", action="store_true", help="Print the table as Markdown.")
    options = parse(parser, arguments)
    shape = _shape(options.shape)
    if options.name is not None:
        print(_in_full(options.name, shape))
        return
    entries = [e for e in CATALOGUE.values() if options.family in (None, e.family)]
    entries = [e for e in entries if options.map is None or options.map in e.maps]
    if not entries:
        families, kinds = {e.family for e in CATALOGUE.values()}, {k for e in CATALOGUE.values() for k in e.maps}
        raise UserError(f"no such block; families: {', '.join(sorted(families))}; maps: {', '.join(sorted(kinds))}")
    rows = sorted((_row(entry, shape) for entry in entries), key=lambda row: (row[options.sort], row["name"]))
    print(table(HEADER, [[row[name] for name in HEADER] for row in rows], markdown=options.markdown))


def _row(entry: Entry, shape: tuple[int, int, int]) -> dict[str, Any]:
    from cv_attention import blocks

    try:
        cost = blocks.cost(entry.name, *shape)
    except ValueError as error:
        raise UserError(f"{entry.name} at {'x'.join(map(str, shape))}: {one_line(error)}") from error
    kinds = ", ".join(dict.fromkeys(entry.maps))
    return {**vars(entry), "family": entry.family, "map": kinds, "parameters": cost.parameters, "flops": cost.flops}


def _in_full(name: str, shape: tuple[int, int, int]) -> str:
    if name not in CATALOGUE:
        raise UserError(f"there is no block {name}{suggest(name, CATALOGUE)}")
    entry = CATALOGUE[name]
    row = _row(entry, shape)
    facts = f"family {entry.family} · {entry.year} · map: {row['map']} · {entry.paper}"
    cost = f"at {'×'.join(map(str, shape))}: {row['parameters']:,} parameters, {row['flops']:,} FLOPs"
    signature = str(inspect.signature(entry.cls)).removesuffix(" -> None")
    return f"{name}: {entry.title}\n{facts}\n{cost}\n\n{entry.cls.__name__}{signature}\n\n{inspect.getdoc(entry.cls)}"


def _shape(text: str) -> tuple[int, int, int]:
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UserError(f"--shape must be channels, height and width such as 64x56x56, got {text}")
    channels, height, width = map(int, parts)
    return channels, height, width
