"""Attention in a U-Net or another segmenter: insert, train in a plain loop, look at maps and saliency.

    python examples/segmentation.py                          # segmentation_models_pytorch: Unet, seconds on a CPU
    python examples/segmentation.py --library torchvision    # LR-ASPP with a MobileNet v3
    python examples/segmentation.py --library monai          # MONAI's UNet with residual units, 2-D, one channel

Images are drawn, nothing is downloaded. Needs the library: pip install segmentation-models-pytorch, or monai
"""

import argparse
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

import cv_attention as cva
from cv_attention.saliency import targets


def of_smp() -> nn.Module:
    """A U-Net with a ResNet-18; encoder_weights="imagenet" would download weights."""
    import segmentation_models_pytorch as smp

    return smp.Unet("resnet18", encoder_weights=None, classes=2)


def of_torchvision() -> nn.Module:
    """LR-ASPP, which returns a dict."""
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    return lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=2)


def of_monai() -> nn.Module:
    """MONAI's UNet for grey slices."""
    from monai.networks.nets import UNet

    return UNet(2, 1, 2, channels=(8, 16, 32, 64), strides=(2, 2, 2), num_res_units=2)


# How to make the network, its channels, and where blocks go: the end of each stage of the encoder.
LIBRARIES = {"smp": (of_smp, 3), "torchvision": (of_torchvision, 3), "monai": (of_monai, 1)}


def draw(count: int, channels: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draws discs on noise; returns images (B, C, H, W) in [0, 1] and masks (B, H, W) of 0 and 1."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    centres = torch.rand(count, 2, generator=generator) * size / 2 + size / 4
    distances = (rows - centres[:, :1, None]) ** 2 + (columns - centres[:, 1:, None]) ** 2
    masks = (distances < (size / 6) ** 2).long()
    noise = torch.rand(count, channels, size, size, generator=generator)
    return 0.6 * noise + 0.4 * masks[:, None], masks


def logits_of(output: Tensor | dict[str, Tensor]) -> Tensor:
    """Returns logits (B, classes, H, W) of what a segmenter returns."""
    return output["out"] if isinstance(output, dict) else output


def overlap(model: nn.Module, images: Tensor, masks: Tensor) -> float:
    """Returns the intersection over union of the discs."""
    with torch.no_grad():
        found = logits_of(model.eval()(images)).argmax(1)
    return float(((found == 1) & (masks == 1)).sum() / ((found == 1) | (masks == 1)).sum().clamp(min=1))


def main() -> None:
    """Inserts, trains and looks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", choices=LIBRARIES, default="smp")
    parser.add_argument("--block", default="scse")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--size", type=int, default=64)
    options = parser.parse_args()

    torch.manual_seed(0)
    make, channels = LIBRARIES[options.library]
    model = make().eval()
    images, masks = draw(16, channels, options.size, seed=1)
    with torch.no_grad():
        before = logits_of(model(images)).argmax(1)
        print(cva.insert(model, options.block, "stage", init="identity", input_size=(channels, *images.shape[2:])))
        changed = int((logits_of(model(images)).argmax(1) != before).sum())
    print(f"{changed} of {before.numel()} predicted pixels changed")

    for module in model.modules():  # so few steps are trained that the running statistics must follow quickly
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.3
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for step in range(options.steps):
        inputs, wanted = draw(8, channels, options.size, seed=100 + step)
        loss = functional.cross_entropy(logits_of(model.train()(inputs)), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"intersection over union {overlap(model, images, masks):.2f}")
    print(cva.usage(model, images))

    with cva.record(model) as maps, torch.no_grad():
        model(images[:1])
    heat = cva.saliency.grad_cam(model, images[:1], targets.segment(1, masks[:1] == 1))
    print(f"{len(maps)} maps recorded; saliency of layers {', '.join(cva.saliency.explanation(heat).layers)}")
    picture = (255 * images[0].expand(3, -1, -1)).byte().permute(1, 2, 0).numpy()
    path = Path(f"out/segmentation_{options.library}.png")
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(cva.overlay(picture, heat)).save(path)
    print(path)


if __name__ == "__main__":
    main()
