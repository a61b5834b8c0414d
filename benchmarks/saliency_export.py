"""Exports of saliency overlays, end to end, against the bare forward's rate, in turns in one process.

    python benchmarks/saliency_export.py [--photographs FOLDER] [--backbone torchvision/resnet18] [--images 96]

End to end: decode, resize, Grad-CAM, draw, encode, write images, overlays, maps and manifest; loading the network is
left out. The forward runs on a batch that lies in memory. Without a folder, photographs are drawn. Goal: at least 0.7.
"""

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import median
from time import perf_counter

import cv2
import numpy as np
import torch

from cv_attention.config import Experiment, Model, SaliencyExport
from cv_attention.saliency_export import export_saliency
from cv_attention.training import Classifier, DataFacts


def draw_photographs(folder: Path, count: int) -> None:
    """Smooth noise with some grain, 500x375: JPEGs of about 100 kB."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for number in range(count):
        coarse = cv2.resize(random.uniform(0, 255, (12, 16, 3)), (500, 375), interpolation=cv2.INTER_CUBIC)
        pixels = np.clip(coarse + random.normal(0, 12, coarse.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number:04d}.jpg"), pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])


def save_network(path: Path, backbone: str, size: int) -> Classifier:
    torch.manual_seed(0)
    names = tuple(f"class {number}" for number in range(100))
    facts = DataFacts(names, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), (size, size))
    classifier = Classifier(Experiment(model=Model(backbone=backbone)), facts).eval()
    content = {"experiment": classifier.experiment.to_dict(), "facts": asdict(facts)}
    torch.save({**content, "state_dict": classifier.state_dict()}, path)
    return classifier


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, help="folder of images; default: drawn ones")
    parser.add_argument("--backbone", default="torchvision/resnet18")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        classifier = save_network(work / "network.ckpt", options.backbone, options.size)
        photographs = options.photographs
        if photographs is None:
            photographs = work / "photographs"
            draw_photographs(photographs, options.images)
        images = classifier.normalise(torch.randint(0, 256, (options.batch, 3, options.size, options.size)))
        config = SaliencyExport(batch_size=options.batch, workers=options.workers, accelerator="cpu")
        forward, whole = [], []
        for number in range(options.rounds + 1):
            start = perf_counter()
            with torch.no_grad():
                for _ in range(max(1, options.images // options.batch)):
                    classifier.network(images)
            forward.append(options.batch * max(1, options.images // options.batch) / (perf_counter() - start))
            done = export_saliency(work / "network.ckpt", [photographs], work / f"out{number}", config)
            whole.append(done.explained / done.seconds)
    ratios = [w / f for w, f in zip(whole[1:], forward[1:], strict=True)]  # the first round warms up
    setting = f"{options.backbone}, {options.size} px, batch {options.batch}, {done.explained} images"
    print(f"{setting}, {torch.get_num_threads()} torch threads, {options.workers} + {options.workers} workers")
    print(f"forward {median(forward[1:]):.1f} images/s, export {median(whole[1:]):.1f} images/s")
    print(f"export / forward: {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
