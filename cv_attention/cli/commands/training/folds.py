"""``cv-attention folds``: divides a training split for cross-validation."""

from collections.abc import Sequence
from pathlib import Path

from cv_attention.cli.errors import user_errors
from cv_attention.cli.parsing import experiment_parser, parse, to_experiment
from cv_attention.cli.places import check_file


def run(arguments: Sequence[str]) -> None:
    """Writes the folds of the configuration's training split, and prints the command that trains on one."""
    parser = experiment_parser("cv-attention folds")
    parser.add_argument("--folds", type=int, default=5, help="Number of folds.")
    parser.add_argument("-o", "--output", type=str, required=True, metavar="FILE", help="File to write the folds to.")
    options = parse(parser, arguments)
    check_file(Path(options.output))
    config = to_experiment(parser, options).data
    with user_errors():
        from cv_attention import data
        from cv_attention.data.selection import folds

        labels, groups = data.divisible(config)
        folds.write(Path(options.output), labels, options.folds, config.seed, groups)
    print(f"{len(labels):,} training images in {options.folds} folds: {options.output}")
    print(f"cv-attention fit ... --data.split_file {options.output} --data.fold 0")
