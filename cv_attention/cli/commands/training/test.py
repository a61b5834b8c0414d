"""``cv-attention test``: evaluates a finished run again, or a pretrained network."""

import os
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from cv_attention.cli.errors import user_errors
from cv_attention.cli.opening import add_network, open_network
from cv_attention.cli.parsing import parse
from cv_attention.cli.places import check_file
from cv_attention.rundir.layout import RunLayout


def run(arguments: Sequence[str]) -> None:
    """Prints the metrics of a checkpoint on the test split, and writes the predictions of all images."""
    parser = ArgumentParser(prog="cv-attention test", exit_on_error=False)
    add_network(parser, "run")
    parser.add_argument(
        "--predictions",
        metavar="FILE",
        help="File for the predictions of all images: .npz, or .csv where texts are read (default: in the run "
        "directory, unless --root or --data.root is given).",
    )
    options = parse(parser, arguments)
    path = Path(options.run) if options.run else None
    predictions = Path(options.predictions) if options.predictions else None
    if predictions:
        check_file(predictions)
    with user_errors():
        from cv_attention import training
        from cv_attention.training.run import renew_checksum

        network, root = open_network(parser, options, "run")
        trained = training.load(network, options.trust, task=None)
        own = path and path / trained.predictions_name
        if path and not predictions and root is None and RunLayout(path).config.is_file() and os.access(path, os.W_OK):
            predictions = own
        metrics = training.evaluate(trained, root, predictions)
        if path and predictions and predictions == own:
            renew_checksum(path, predictions.name)
    for name, value in metrics.items():
        print(f"test {name.replace('_', ' ')}: {value:.4f}")
    if predictions:
        print(f"predictions: {predictions}")
