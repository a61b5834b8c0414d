"""A report from a training loop of your own: a small CNN on scikit-learn's handwritten digits, in plain PyTorch.

    python examples/report_from_any_loop.py            # a few seconds on a CPU; writes runs/digits_cnn
    python examples/report_from_any_loop.py --plain    # the same without the block; writes runs/digits_cnn_plain
    cv-attention compare runs/digits_cnn runs/digits_cnn_plain

What makes the report are the lines with `recorder`; everything else is an ordinary training loop.
"""

import sys

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

import cv_attention as cva

EPOCHS, TRAIN, VAL = 12, 1000, 300  # images; the rest of the 1,797 are the test split


class DigitsNet(nn.Module):
    """A CNN for grey images of 8 × 8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.conv2 = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU())
        self.classify = nn.Linear(32, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns the logits (B, 10) of images (B, 1, 8, 8)."""
        return self.classify(self.conv2(self.conv1(images)).mean((2, 3)))


@torch.no_grad()
def logits_of(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Returns the logits of many images, in eval mode."""
    model.eval()
    logits = model(images)
    model.train()
    return logits


def main() -> None:
    """Trains the network and writes its report."""
    plain = "--plain" in sys.argv
    torch.manual_seed(0)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16  # (1797, 1, 8, 8) in [0, 1]
    labels = torch.tensor(digits.target)
    val, test = slice(TRAIN, TRAIN + VAL), slice(TRAIN + VAL, None)

    model = DigitsNet()
    if not plain:
        cva.insert(model, {"name": "cbam", "reduction": 4}, ["conv1", "conv2"], input_size=(1, 8, 8))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    run = "runs/digits_cnn_plain" if plain else "runs/digits_cnn"
    recorder = cva.report.Recorder(
        run,
        images[val][:24],
        labels[val][:24],
        [f"digit {digit}" for digit in range(10)],
        methods=("grad_cam", "input_x_gradient"),
        config={"seed": 0, "data": {"name": "sklearn digits"}, "optimizer": {"name": "adam", "lr": 0.01}},
    )
    with recorder:
        for epoch in range(EPOCHS):
            losses = []
            for batch in torch.randperm(TRAIN).split(50):
                loss = functional.cross_entropy(model(images[batch]), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            logits = logits_of(model, images[val])
            recorder.log(
                model,
                epoch,
                train_loss=sum(losses) / len(losses),
                val_loss=functional.cross_entropy(logits, labels[val]),
                val_accuracy=(logits.argmax(1) == labels[val]).float().mean(),
            )
            recorder.confusion(epoch, labels[val], logits.argmax(1))  # of all validation images, not the 24 alone
        recorder.faithfulness(model, points=16)
        results = recorder.test(logits_of(model, images[test]), labels[test])
    print(f"test accuracy {results['accuracy']:.3f}; {run}/report/index.html")


if __name__ == "__main__":
    main()
