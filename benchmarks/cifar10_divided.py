"""Divides all 60,000 images of CIFAR-10 for a study: 27,000 to train on, 3,000 for validation, 30,000 for the test.

    python benchmarks/cifar10_divided.py data/cifar10 data/cifar10_divided.npz

The official test split has 10,000 images; three times as many halve the part of a run's spread that the finite test set
makes. The first argument is a folder with ``{train,test}/<class>/<image>``. The official test images and 2,000
training images of each class, drawn by a fixed seed, are the test split. Writes an archive for ``data.name: arrays``.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

TEST, VALIDATION = 2000, 300  # images of each class of the official training split


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    files: dict[str, list[tuple[Path, int]]] = {"train": [], "val": [], "test": []}
    order = np.random.default_rng(0)
    for label, folder in enumerate(sorted(path for path in (options.root / "train").iterdir() if path.is_dir())):
        images = sorted(folder.iterdir())
        drawn = [images[number] for number in order.permutation(len(images))]
        files["test"] += [(path, label) for path in sorted((options.root / "test" / folder.name).iterdir())]
        files["test"] += [(path, label) for path in drawn[:TEST]]
        files["val"] += [(path, label) for path in drawn[TEST : TEST + VALIDATION]]
        files["train"] += [(path, label) for path in drawn[TEST + VALIDATION :]]
    arrays = {}
    for split, entries in files.items():
        arrays[f"{split}_images"] = np.stack([np.asarray(Image.open(path).convert("RGB")) for path, _ in entries])
        arrays[f"{split}_labels"] = np.array([label for _, label in entries])
        print(f"{split}: {len(entries):,} images")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(options.out, **arrays)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
