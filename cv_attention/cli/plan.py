"""``cv-attention plan``: show where a block would go in a network."""

from collections.abc import Sequence

from jsonargparse import ArgumentParser

from cv_attention.cli.errors import user_errors
from cv_attention.cli.parsing import parse
from cv_attention.config import BlockSpec


def run(arguments: Sequence[str]) -> None:
    """Prints the table of sites; changes nothing."""
    parser = ArgumentParser(prog="cv-attention plan", exit_on_error=False)
    parser.add_argument("model", help="Backbone: resnet20, timm or torchvision names, ...")
    parser.add_argument("--block", type=BlockSpec, required=True, help="Attention block, as in the configuration.")
    parser.add_argument("--at", type=str | list[str], default="residual", help="A position or a glob.")
    parser.add_argument("--size", type=int, help="Side of the images in pixels; default: the model's own.")
    parser.add_argument("--classes", type=int, default=1000, help="Number of classes.")
    options = parse(parser, arguments)
    with user_errors():
        from cv_attention import backbones

        model = backbones.build(options.model, num_classes=options.classes)
        size = (options.size, options.size) if options.size else None
        print(backbones.plan(model, options.block, options.at, input_size=size))
