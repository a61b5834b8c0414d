"""``cv-attention test``: evaluate a run again."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from cv_attention.cli.errors import user_errors
from cv_attention.cli.parsing import parse


def run(arguments: Sequence[str]) -> None:
    """Prints the metrics of a checkpoint on the test split."""
    parser = ArgumentParser(prog="cv-attention test", exit_on_error=False)
    parser.add_argument("run", help="A run directory (its best checkpoint counts) or a checkpoint file.")
    parser.add_argument("--root", help="Where the data set lies now, if it was moved.")
    options = parse(parser, arguments)
    with user_errors():
        from cv_attention import training

        metrics = training.evaluate(training.find_checkpoint(Path(options.run)), options.root)
    for name, value in metrics.items():
        print(f"test {name.replace('_', ' ')}: {value:.4f}")
