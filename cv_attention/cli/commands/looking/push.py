"""``cv-attention push``: shares a trained network on the Hugging Face Hub."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from cv_attention.cli.errors import UserError, user_errors
from cv_attention.cli.opening import add_trust
from cv_attention.cli.parsing import parse
from cv_attention.cli.places import check_folder
from cv_attention.extras import require


def run(arguments: Sequence[str]) -> None:
    """Uploads the network, or writes the folder that would be uploaded, and prints where."""
    parser = ArgumentParser(prog="cv-attention push", exit_on_error=False)
    parser.add_argument("run", help="Run directory of a finished training run.")
    parser.add_argument("name", nargs="?", metavar="ORG/NAME", help="Name of the model on the Hub.")
    parser.add_argument("-o", "--out", help="Write the model's files into this folder, and send nothing.")
    parser.add_argument("--license", help="Licence of the weights, as the Hub writes it, such as apache-2.0.")
    parser.add_argument("--public", type=bool, default=False, help="Whether everybody may see the model.")
    parser.add_argument(
        "--pictures", type=int, default=8, help="Images of the data set that the card shows with their maps."
    )
    add_trust(parser)
    options = parse(parser, arguments)
    if (options.name is None) == (options.out is None):
        raise UserError("give ORG/NAME to share the network on the Hub, or -o FOLDER to write its files")
    if options.out:
        check_folder(Path(options.out))
    shown = {"license": options.license, "pictures": options.pictures, "trust": options.trust}
    with user_errors():
        require("hub", "cv-attention push")
        from cv_attention import hub

        if options.out:
            for path in hub.write_folder(options.run, options.out, **shown):
                print(path)
        else:
            pushed = hub.push(options.run, options.name, public=options.public, **shown)
            print(f"{pushed.url} ({'public' if options.public else 'private'}): {', '.join(pushed.files)}")
    if not options.license:
        print("no licence is stated, so that nobody else may use the weights: --license apache-2.0")
