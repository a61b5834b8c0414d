"""Attention in torchvision's Faster R-CNN: insert, train in torchvision's own loop, explain a box.

python examples/torchvision_detection.py    # drawn squares, about a minute on a CPU; nothing is downloaded
"""

import argparse
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

import cv_attention as cva
from cv_attention.saliency import targets


def draw(count: int, size: int, seed: int) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Draws one bright square on each noisy image, as torchvision's detectors take images and boxes."""
    generator = torch.Generator().manual_seed(seed)
    images, found = [], []
    for _ in range(count):
        image = 0.5 * torch.rand(3, size, size, generator=generator)
        side = int(torch.randint(size // 4, size // 2, (), generator=generator))
        x, y = (int(v) for v in torch.randint(0, size - side, (2,), generator=generator))
        image[:2, y : y + side, x : x + side] += 0.5
        box = torch.tensor([[x, y, x + side, y + side]], dtype=torch.float32)
        images.append(image)
        found.append({"boxes": box, "labels": torch.tensor([1])})
    return images, found


def main() -> None:
    """Inserts, trains, detects and explains."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--block", default="eca")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--size", type=int, default=96)
    options = parser.parse_args()

    torch.manual_seed(0)
    model = fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None, num_classes=2, min_size=options.size, max_size=options.size,
        box_score_thresh=0.0, box_detections_per_img=5,  # an untrained detector is not sure of anything
        trainable_backbone_layers=6,
    ).eval()  # fmt: skip
    images, _ = draw(2, options.size, seed=1)
    with torch.no_grad():
        before = model(images)
        # The whole detector is traced, so that a stage of the backbone is known as such; it takes a list of images.
        planned = cva.insert(model, options.block, "residual", init="identity", example_inputs=(images,))
        after = model(images)
    same = all(torch.equal(one["boxes"], two["boxes"]) for one, two in zip(before, after, strict=True))
    print(planned)
    print(f"boxes {'unchanged' if same else 'changed'} by {len(planned.sites)} blocks")

    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=5e-4)
    for step in range(options.steps):
        losses = model.train()(*draw(2, options.size, seed=100 + step))
        loss = sum(losses.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"loss after {options.steps} steps: {loss.item():.3f}")

    batch = torch.stack(images)  # a saliency method takes a batch (B, 3, H, W), and so does the detector
    with torch.no_grad():
        boxes = torch.stack([one["boxes"][0] for one in model.eval()(batch)])
    heat = cva.saliency.grad_cam(model, batch, targets.box(1, boxes))
    picture = (255 * images[0]).byte().permute(1, 2, 0).numpy()
    path = Path("out/torchvision_detection.png")
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(cva.overlay(picture, heat[:1])).save(path)
    print(f"explained: {cva.saliency.explanation(heat).targets[0]}; {path}")


if __name__ == "__main__":
    main()
