"""Opens the network that a command works on: a run's, a checkpoint's, or a pretrained one."""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jsonargparse import ArgumentParser, Namespace

from cv_attention.cli.class_paths import restored
from cv_attention.cli.errors import UserError
from cv_attention.config import Data, Model

if TYPE_CHECKING:
    from cv_attention.training import Classifier

_DATA = Data(name="folder")  # default location of a pretrained network's images


def add_network(parser: ArgumentParser, run: str) -> None:
    """Adds the arguments that select the network.

    Args:
        parser: The command's parser.
        run: Name of the argument for a run directory or checkpoint; one with dashes becomes an option.
    """
    optional: dict[str, Any] = {} if run.startswith("-") else {"nargs": "?"}
    parser.add_argument(run, **optional, help="Run directory (its best checkpoint is used) or checkpoint file.")
    parser.add_argument("--model", help="Pretrained network, timm/NAME or torchvision/NAME, instead of a run.")
    parser.add_argument("--weights", help="Weights of the model: pretrained (the library's, the default) or a file.")
    parser.add_argument(
        "--weights_by",
        type=Literal["name", "position"],
        default="name",
        help="How weights in the file are matched; position is for files with another library's names.",
    )
    add_trust(parser)
    parser.add_argument("--root", help="Location of the data set if it was moved; the same as --data.root.")
    parser.add_class_arguments(Data, nested_key="data")
    parser.set_defaults({"data.name": _DATA.name})


def add_trust(parser: ArgumentParser) -> None:
    """Adds ``--trust``: the modules and classes that a file may name."""
    parser.add_argument(
        "--trust",
        nargs="+",
        default=[],
        metavar="MODULE[.CLASS]",
        help="Your own modules or classes that the run or checkpoint names and that may be imported.",
    )


def open_network(parser: ArgumentParser, options: Namespace, run: str) -> "tuple[Path | Classifier, str | None]":
    """Finds the checkpoint, or opens the pretrained network, named by the arguments of `add_network`.

    Args:
        parser: The command's parser.
        options: The parsed arguments.
        run: As for `add_network`.

    Returns:
        The checkpoint or network as the library's functions take it, and the location of the data set if given.

    Raises:
        UserError: if both or neither are given, or an option applies only to the other.
    """
    name = run.lstrip("-")
    given, what = options[name], run if run.startswith("-") else name.upper()
    if (given is None) == (options.model is None):
        both = "not both" if given else "one of them"
        raise UserError(f"give {what} (a run directory or a checkpoint) or --model (a pretrained network), {both}")
    data: Data = restored(parser.instantiate(options).data)
    changed = [field.name for field in fields(Data) if getattr(data, field.name) != getattr(_DATA, field.name)]
    root = options.root or (data.root if "root" in changed else None)
    from cv_attention import training

    if given is not None:
        foreign = ["--weights"] if options.weights else ["--weights_by"] if options.weights_by != "name" else []
        foreign += [f"--data.{field}" for field in changed if field != "root"]
        if foreign:
            raise UserError(f"{foreign[0]} applies only to --model; {given} records how it was trained")
        return training.find_checkpoint(Path(given)), root
    weights = None if options.weights in (None, "pretrained") else options.weights
    model = Model(options.model, pretrained=weights is None, weights=weights, weights_by=options.weights_by)
    return training.open_pretrained(model, data), root
