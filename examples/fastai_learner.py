"""Attention in a fastai Learner: fine-tune only the blocks and the head, then everything.

    python examples/fastai_learner.py    # scikit-learn's digits, seconds on a CPU; nothing is downloaded

Needs fastai: pip install fastai
"""

import argparse
from pathlib import Path

import torch
from fastai.vision.all import DataLoaders, Learner, accuracy
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import TensorDataset
from torchvision.models import resnet18

import cv_attention as cva


def data(size: int = 32) -> DataLoaders:
    """Returns handwritten digits as fastai's loaders."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)[:, None].expand(-1, 3, -1, -1) / 16
    images = nn.functional.interpolate(images, (size, size), mode="bilinear")
    labels = torch.tensor(digits.target)
    train, val = TensorDataset(images[:1000], labels[:1000]), TensorDataset(images[1000:1300], labels[1000:1300])
    return DataLoaders.from_dsets(train, val, bs=50, device="cpu", num_workers=0)


def main() -> None:
    """Trains twice, saves, loads and looks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--block", default="cbam")
    options = parser.parse_args()

    torch.manual_seed(0)
    model = resnet18(weights=None, num_classes=10)
    loaders = data()
    # Before the Learner is made: it divides the parameters into groups for its optimizer. `vision_learner(...)` makes
    # the network itself; insert into `learner.model` then, and call `learner.create_opt()`.
    cva.insert(model, options.block, "residual", init="identity", input_size=32, train="blocks+head")
    learner = Learner(loaders, model, loss_func=nn.CrossEntropyLoss(), metrics=accuracy, path=Path("out/fastai"))
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(1, 3e-3)
        for parameter in model.parameters():  # from here on everything learns
            parameter.requires_grad_(True)
        learner.create_opt()
        learner.fit_one_cycle(2, 3e-3)
    print(f"accuracy {learner.validate()[1]:.3f}")

    learner.save("attended")
    learner.load("attended")
    images = next(iter(loaders.valid))[0][:4]
    print(cva.usage(learner.model, images))
    heat = cva.saliency.grad_cam(learner.model, images)
    kept = sum(
        ".attention." in key for key in torch.load("out/fastai/models/attended.pth", weights_only=False)["model"]
    )
    print(f"saliency {tuple(heat.shape)}, weights of blocks in the saved file: {kept}")


if __name__ == "__main__":
    main()
