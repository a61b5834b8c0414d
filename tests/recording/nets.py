"""A network of somebody else, and what was recorded of it."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

CLASSES = ["zero", "one", "two"]
LABELS = [0, 1, 2, 0, 1, 2]


class Net(nn.Module):
    """A CNN with batch statistics and dropout."""

    def __init__(self, channels: int = 3, classes: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(channels, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.conv2 = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Dropout(0.5))
        self.classify = nn.Linear(8, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classify(self.conv2(self.conv1(x)).mean((2, 3)))


def record_json(run: Path, epoch: int = 0) -> dict:
    return json.loads((run / f"maps/epoch-{epoch:04d}.json").read_text())


def column(run: Path, title: str, epoch: int = 0) -> np.ndarray:
    about = record_json(run, epoch)["columns"]
    [key] = [key for key, one in about.items() if one["title"] == title]
    return np.load(run / f"maps/epoch-{epoch:04d}.npz")[key]
