"""Attention for a trained network, which is not hurt: insert, compare every prediction, fine-tune, compare fairly.

    python examples/insert_into_pretrained.py                                        # CIFAR-10, downloaded to data/
    python examples/insert_into_pretrained.py --data.name folder --data.root PHOTOS  # any folder of 32×32 images
    python examples/insert_into_pretrained.py --plain runs/NAME                      # a plain network trained before

Every further option is one of `cv-attention fit`. Each stage prints the command that does the same. Accuracies of the
comparison are those of the test split, which nothing was chosen on; each run keeps its best epoch by validation.
"""

import shlex
import sys
from pathlib import Path
from typing import Any

import torch

import cv_attention as cva
from cv_attention import data, training
from cv_attention.cli.parsing import experiment_parser, parse, to_experiment
from cv_attention.rundir import summary

CONFIG = str(Path(__file__).parents[1] / "configs/cifar10_resnet20.yaml")
FIRST = ["--trainer.max_epochs=2", "--optimizer.lr=0.1"]  # the blocks alone
THEN = ["--trainer.max_epochs=2", "--optimizer.lr=0.05"]  # everything


def fit(name: str, *options: str) -> Path:
    """Trains one stage and returns its run directory."""
    arguments = ["--config", CONFIG, *options, *sys.argv[1:], f"--log.name=pretrained-{name}"]
    print(f"\n{name}: cv-attention fit {shlex.join(arguments)}", flush=True)
    parser = experiment_parser("insert_into_pretrained")
    prepared = training.prepare(to_experiment(parser, parse(parser, arguments)))
    print(*prepared.lines, sep="\n", flush=True)
    return training.fit(prepared)


@torch.inference_mode()
def predictions(classifier: training.Classifier, images: Any) -> torch.Tensor:
    """The class that the network predicts for each test image."""
    return torch.cat([classifier.eval()(batch["image"]).argmax(1) for batch in images.test_dataloader()])


def check_unhurt(run: Path) -> None:
    """Inserts CBAM into the trained network and compares all predictions on the test images."""
    classifier = training.load(training.find_checkpoint(run))
    images = data.create(classifier.experiment.data)
    images.setup()
    before = predictions(classifier, images)
    print(cva.insert(classifier.network, "cbam", "residual", init="identity", input_size=images.image_size))
    after = predictions(classifier, images)
    assert torch.equal(before, after), f"{(before != after).sum()} predictions changed"
    print(f"\nCBAM inserted: all {len(before):,} test predictions are what they were")


def main() -> None:
    """Runs the stages and prints their test accuracies."""
    if "--plain" in sys.argv:
        place = sys.argv.index("--plain")
        plain = Path(sys.argv[place + 1])
        del sys.argv[place : place + 2]
    else:
        plain = fit("plain", "--model.block=null")
    check_unhurt(plain)

    cbam = ["--model.block=cbam", "--model.init=identity"]
    blocks = fit("blocks", *cbam, "--model.train=blocks", *FIRST, f"--model.weights={plain}")
    attended = fit("all", *cbam, *THEN, f"--model.weights={blocks}")
    # The fair comparison: without blocks, from the same weights, as long, by the same recipe.
    longer = fit("longer", "--model.block=null", *FIRST, f"--model.weights={plain}")
    control = fit("control", "--model.block=null", *THEN, f"--model.weights={longer}")

    print("\ntest accuracy")
    stages = {"plain": plain, "+ CBAM, blocks tuned": blocks, "+ CBAM, all tuned": attended, "plain, tuned": control}
    for name, run in stages.items():
        print(f"{name:<24}{100 * summary.read(run)['test']['accuracy']:.2f} %")


if __name__ == "__main__":
    main()
