"""``cv-attention demo``: serves a local page that shows what networks look at in a photograph."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser

from cv_attention.cli.errors import UserError, user_errors
from cv_attention.cli.opening import add_trust
from cv_attention.cli.parsing import parse
from cv_attention.config import Data, Model
from cv_attention.extras import require


def run(arguments: Sequence[str]) -> None:
    """Serves the page on 127.0.0.1 until Ctrl-C."""
    parser = ArgumentParser(prog="cv-attention demo", exit_on_error=False)
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="Run directories, checkpoints or shared folders to choose from."
    )
    parser.add_argument(
        "--models", nargs="+", default=[], metavar="MODEL", help="Pretrained networks, timm/NAME or torchvision/NAME."
    )
    parser.add_argument(
        "--weights",
        nargs="+",
        default=[],
        metavar="FILE",
        help="Weights of each of the models, in their order: pretrained (the library's, the default) or a file.",
    )
    parser.add_argument(
        "--weights_by",
        type=Literal["name", "position"],
        default="name",
        help="How weights in a file are matched; position is for files with another library's names.",
    )
    parser.add_argument("--port", type=int, help="Port of the page; by default the first free one from 7860 on.")
    add_trust(parser)
    options = parse(parser, arguments)
    if not options.runs and not options.models:
        raise UserError("give run directories, or pretrained networks: cv-attention demo --models timm/resnet50")
    if options.weights and len(options.weights) != len(options.models):
        raise UserError(
            f"--weights must name a file for each of the {len(options.models)} models, got {len(options.weights)}"
        )
    with user_errors():
        require("demo", "cv-attention demo")
        os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # or Gradio asks for its newest version
        from cv_attention import training
        from cv_attention.demo.building import serve
        from cv_attention.demo.explaining import Explainer

        networks = {}
        for each in options.runs:
            checkpoint = training.find_checkpoint(Path(each))
            networks[each] = partial(training.load, checkpoint, options.trust, task=None)
        for name, file in zip(options.models, options.weights or ["pretrained"] * len(options.models), strict=True):
            own = None if file == "pretrained" else file
            model = Model(name, pretrained=own is None, weights=own, weights_by=options.weights_by if own else "name")
            networks[name] = partial(training.open_pretrained, model, Data(name="folder"))
        _, address, _ = serve(Explainer(networks), options.port, wait=False)
    print(f"{address} (Ctrl-C ends it)", flush=True)
    import time

    while True:  # a wait without an end would not notice a signal that came just before it
        time.sleep(0.2)
