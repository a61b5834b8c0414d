"""``cv-attention heads``: lists the heads that read texts, or shows one."""

import inspect
from collections.abc import Sequence

from jsonargparse import ArgumentParser

from cv_attention.cli.errors import UserError, one_line
from cv_attention.cli.parsing import parse
from cv_attention.cli.terminal import terminal_width
from cv_attention.heads.catalogue import HEADS, HeadEntry, find_head
from cv_attention.tables import text_table

HEADER = ("name", "family", "year", "attention", "options", "title")


def run(arguments: Sequence[str]) -> None:
    """Prints the catalogue of heads, or one head in full."""
    parser = ArgumentParser(prog="cv-attention heads", exit_on_error=False)
    parser.add_argument("name", nargs="?", help="Head to show in full.")
    options = parse(parser, arguments)
    if options.name is not None:
        print(_in_full(options.name))
        return
    rows = [_row(entry) for entry in HEADS.values()]
    print(text_table(HEADER, rows, width=terminal_width(), wrap=("options", "title")))


def _row(entry: HeadEntry) -> list[object]:
    from cv_attention.heads.building import options_of

    attends = "yes" if entry.attends else "no"
    return [entry.name, entry.family, entry.year, attends, ", ".join(options_of(entry.cls)), entry.title]


def _in_full(name: str) -> str:
    try:
        entry = find_head(name)
    except ValueError as error:
        raise UserError(one_line(error)) from error
    from cv_attention.heads.building import options_of

    attends = "has attention weights" if entry.attends else "has no attention"
    options = {name: _default(entry.cls, name) for name in options_of(entry.cls)}
    listed = "\n".join(f"  {name} = {value!r}" for name, value in options.items())
    return (
        f"{name}: {entry.title}\nfamily {entry.family} · {entry.year} · {attends} · {entry.paper}\n\n"
        f"options in model.head:\n{listed}\n\n" + "\n\n".join(_documents(entry.cls))
    )


def _documents(kind: type) -> list[str]:
    """Returns the docstring of a head, and that of the class to which it passes options on."""
    parameters = inspect.signature(kind).parameters.values()
    kinds = [kind, *([kind.__mro__[1]] if any(each.kind is each.VAR_KEYWORD for each in parameters) else [])]
    return [f"{each.__name__}: {inspect.getdoc(each)}" for each in kinds]


def _default(kind: type, option: str) -> object:
    """Returns the default of an option, which may be that of a class that this one derives from."""
    for each in kind.__mro__:
        parameters = inspect.signature(each).parameters
        if option in parameters:
            return parameters[option].default
    raise ValueError(f"{kind.__name__} has no option {option}")
