"""``cv-attention test``: evaluate a run again, or a pretrained network."""

from collections.abc import Sequence

from jsonargparse import ArgumentParser

from cv_attention.cli.errors import user_errors
from cv_attention.cli.opening import add_network, open_network
from cv_attention.cli.parsing import parse


def run(arguments: Sequence[str]) -> None:
    """Prints the metrics of a checkpoint on the test split."""
    parser = ArgumentParser(prog="cv-attention test", exit_on_error=False)
    add_network(parser, "run")
    options = parse(parser, arguments)
    with user_errors():
        from cv_attention import training

        network, root = open_network(parser, options, "run")
        metrics = training.evaluate(network, root)
    for name, value in metrics.items():
        print(f"test {name.replace('_', ' ')}: {value:.4f}")
