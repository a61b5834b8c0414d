"""Measures images per second of the input pipelines on one core, compared with timm, torchvision and albumentations.

    python benchmarks/input_pipeline.py small                        # 32×32 in memory: crop, flip, normalise
    python benchmarks/input_pipeline.py photographs FOLDER           # JPEG files -> 224 px: random resized crop, flip

All sides end with normalised float32 batches on the CPU, batch 128 (photographs: 32), no worker process, one thread.
They take turns; the figure is the median of each side's rounds, and of the rounds' ratios to the best other side. timm
crops small images by its random resized crop, since it has no padded one. FOLDER is an image folder,
FOLDER/train/<class>/*.jpg and FOLDER/val/...
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from cv_attention.config import Data
from cv_attention.data import create
from cv_attention.data.augmentation.normalisation import normalise
from cv_attention.data.sources import decoded

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Side = Callable[[], Iterator[Tensor]]


class Mapped(Dataset):
    """Items through a function, as a data set of PyTorch's usual kind."""

    def __init__(self, items, function):
        self.items, self.function = items, function

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.function(self.items[index])


def loader(items, function, batch: int) -> Side:
    return lambda: iter(DataLoader(Mapped(items, function), batch, shuffle=True, drop_last=True))


def ours(config: Data) -> Side:
    module = create(config)
    module.setup()
    mean, std = (255 * torch.tensor(values).view(3, 1, 1) for values in (module.mean, module.std))

    def batches() -> Iterator[Tensor]:
        for batch in module.train_dataloader():
            yield normalise(batch["image"], mean, std)

    return batches


def timm_loader(dataset, size: int, batch: int, **options) -> Side:
    from timm.data import create_loader

    made = create_loader(
        dataset, (3, size, size), batch, is_training=True, num_workers=0, use_prefetcher=False, 
        persistent_workers=False, color_jitter=None, mean=MEAN, std=STD, device=torch.device("cpu"), **options,
    )  # fmt: skip
    return lambda: (images for images, _ in made)


def small(images: int) -> dict[str, Side]:
    """32×32 images in memory: padding by 4, random crop, horizontal flip."""
    import albumentations as A

    pixels = np.random.default_rng(0).integers(0, 256, (images, 32, 32, 3), np.uint8)
    folder = Path(tempfile.mkdtemp())
    for split, count in (("train", images), ("test", 128)):
        for name in ("a", "b"):
            (folder / split / name).mkdir(parents=True)
        for number in range(count):
            cv2.imwrite(str(folder / split / "ab"[number % 2] / f"{number:05}.png"), pixels[number])
    steps = [{"Pad": {"padding": 4}}, {"RandomCrop": {"height": 32, "width": 32}}, "HorizontalFlip"]
    alb = A.Compose([A.Pad(4), A.RandomCrop(32, 32), A.HorizontalFlip(), A.Normalize(MEAN, STD)])
    from_tensor = v2.Compose(
        [v2.RandomCrop(32, 4), v2.RandomHorizontalFlip(), v2.ToDtype(torch.float, scale=True), v2.Normalize(MEAN, STD)]
    )
    pictures = [Image.fromarray(image) for image in pixels]
    tensors = list(torch.from_numpy(pixels).permute(0, 3, 1, 2))
    sides = {
        "cv_attention": ours(Data("folder", str(folder), batch_size=128, val_fraction=0.01, train_transforms=steps)),
        "albumentations": loader(
            pixels, lambda image: torch.from_numpy(alb(image=image)["image"]).permute(2, 0, 1), 128
        ),
        "torchvision v2": loader(tensors, from_tensor, 128),
        "timm": timm_loader(Timm(pictures), 32, 128),
    }
    return sides


class Timm:
    """Pictures as timm's data sets hand them out: it sets `transform` itself."""

    transform: Callable | None = None

    def __init__(self, pictures):
        self.pictures = pictures

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, index):
        picture = self.pictures[index]
        picture = picture if isinstance(picture, Image.Image) else Image.open(picture).convert("RGB")
        return (self.transform(picture) if self.transform else picture), 0


def photographs(folder: Path) -> dict[str, Side]:
    """JPEG files: random resized crop to 224 px, horizontal flip."""
    import albumentations as A

    files = sorted((folder / "train").rglob("*.jpg"))
    alb = A.Compose([A.RandomResizedCrop((224, 224)), A.HorizontalFlip(), A.Normalize(MEAN, STD)])
    tv = v2.Compose(
        [
            *(v2.PILToTensor(), v2.RandomResizedCrop(224, antialias=True), v2.RandomHorizontalFlip()),
            *(v2.ToDtype(torch.float, scale=True), v2.Normalize(MEAN, STD)),
        ]
    )

    def with_opencv(file: Path) -> Tensor:
        image = cv2.imread(str(file), cv2.IMREAD_COLOR_RGB)
        return torch.from_numpy(alb(image=image)["image"]).permute(2, 0, 1)

    steps = [{"RandomResizedCrop": {"size": [224, 224]}}, "HorizontalFlip"]
    config = Data("folder", str(folder), batch_size=32, train_transforms=steps)
    config.eval_transforms = [{"Resize": {"height": 224, "width": 224}}]
    decoded.LIMIT = 0  # photographs of one size would be decoded once and kept
    cached = Data(**{**vars(config), "cache": 256})
    return {
        "cv_attention": ours(config),
        "cv_attention, cache": ours(cached),
        "albumentations": loader(files, with_opencv, 32),
        "torchvision v2": loader(files, lambda file: tv(Image.open(file).convert("RGB")), 32),
        "timm": timm_loader(Timm(files), 224, 32),
    }


def rate(side: Side, seconds: float) -> float:
    images, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for batch in side():
            images += len(batch)
            if time.perf_counter() - start >= seconds:
                break
    return images / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["small", "photographs"])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--images", type=int, default=10_000, help="of the small ones")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each side in each round")
    options = parser.parse_args()
    if options.kind == "photographs" and not options.folder:
        parser.error("photographs needs FOLDER")
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    sides = small(options.images) if options.kind == "small" else photographs(options.folder)
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():  # warm-up, not counted
        rate(side, 0.3)
    for turn in range(options.rounds):
        for name, side in sorted(sides.items(), reverse=turn % 2 == 1):
            rates[name].append(rate(side, options.seconds))
    others = [name for name in sides if not name.startswith("cv_attention")]
    best = max(others, key=lambda name: statistics.median(rates[name]))
    for name, found in rates.items():
        ratios = [one / other for one, other in zip(found, rates[best], strict=True)]
        print(f"{name:<20} {statistics.median(found):9.0f} images/s   {statistics.median(ratios):5.2f} of {best}")
    print(f"{options.rounds} rounds of {options.seconds} s, one thread, torch {torch.__version__}")


if __name__ == "__main__":
    main()
