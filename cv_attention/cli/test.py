"""``cv-attention test``: evaluate a run again."""

import os
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from cv_attention.cli.errors import user_errors
from cv_attention.cli.parsing import parse
from cv_attention.cli.places import check_file


def run(arguments: Sequence[str]) -> None:
    """Prints the metrics of a checkpoint on the test split, and writes every image's prediction."""
    parser = ArgumentParser(prog="cv-attention test", exit_on_error=False)
    parser.add_argument("run", help="A run directory (its best checkpoint counts) or a checkpoint file.")
    parser.add_argument("--root", help="Where the data set lies now, if it was moved.")
    parser.add_argument(
        "--predictions",
        metavar="FILE",
        help="Where every image's prediction is written, as .npz; by default into the run directory, unless --root is "
        "given.",
    )
    options = parse(parser, arguments)
    path = Path(options.run)
    predictions = Path(options.predictions) if options.predictions else None
    if predictions:
        check_file(predictions)
    elif options.root is None and (path / "config.yaml").is_file() and os.access(path, os.W_OK):
        predictions = path / "predictions.npz"
    with user_errors():
        from cv_attention import training

        metrics = training.evaluate(training.find_checkpoint(path), options.root, predictions)
    for name, value in metrics.items():
        print(f"test {name.replace('_', ' ')}: {value:.4f}")
    if predictions:
        print(f"predictions: {predictions}")
