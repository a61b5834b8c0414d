"""Attention in a Hugging Face model, trained by its Trainer, saved and loaded again.

    python examples/hugging_face_trainer.py                       # a small ResNet on scikit-learn's digits, seconds
    python examples/hugging_face_trainer.py --model convnext
    python examples/hugging_face_trainer.py --model vit           # blocks on the patches, behind each attention and MLP

Networks start from random weights, so nothing is downloaded; `from_pretrained` works in the same way. The Trainer needs
accelerate: pip install transformers accelerate
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch.utils.data import Dataset
from transformers import (
    ConvNextConfig,
    ConvNextForImageClassification,
    EvalPrediction,
    PreTrainedModel,
    ResNetConfig,
    ResNetForImageClassification,
    Trainer,
    TrainingArguments,
    ViTConfig,
    ViTForImageClassification,
)

import cv_attention as cva

SMALL = {"num_channels": 1, "num_labels": 10}
SIZE = 32


class Digits(Dataset):
    """Handwritten digits of 8 x 8 pixels, enlarged; items as the Trainer takes them."""

    def __init__(self, part: slice) -> None:
        digits = load_digits()
        images = torch.tensor(digits.images[part], dtype=torch.float32)[:, None] / 16
        self.images = torch.nn.functional.interpolate(images, (SIZE, SIZE), mode="bilinear")
        self.labels = torch.tensor(digits.target[part])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"pixel_values": self.images[index], "labels": self.labels[index]}


def build(name: str, block: str) -> PreTrainedModel:
    """Makes a network with blocks; the same call makes the one into which a checkpoint is loaded."""
    torch.manual_seed(0)
    if name == "resnet":
        config = ResNetConfig(embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic", **SMALL)
        model = ResNetForImageClassification(config)
    elif name == "convnext":
        config = ConvNextConfig(  # a layer scale of 1e-6, the default, is for long training runs
            hidden_sizes=[16, 32], depths=[2, 2], num_stages=2, patch_size=2, layer_scale_init_value=1.0, **SMALL
        )
        model = ConvNextForImageClassification(config)
    else:
        config = ViTConfig(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=SIZE,
            patch_size=4, **SMALL,
        )  # fmt: skip
        model = ViTForImageClassification(config)
    # Hugging Face models take pixel_values=, so the example is a mapping.
    cva.insert(
        model, block, "residual", init="identity", example_inputs={"pixel_values": torch.zeros(1, 1, SIZE, SIZE)}
    )
    return model


def accuracy(found: EvalPrediction) -> dict[str, float]:
    """Returns the accuracy, as the Trainer wants it."""
    return {"accuracy": float((np.asarray(found.predictions).argmax(-1) == found.label_ids).mean())}


def main() -> None:
    """Trains, saves, loads and looks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=("resnet", "convnext", "vit"), default="resnet")
    parser.add_argument("--block", default="se")
    parser.add_argument("--epochs", type=float, default=3)
    options = parser.parse_args()

    model, val = build(options.model, options.block), Digits(slice(1200, None))
    rate = 1e-3 if options.model == "convnext" else 3e-3
    arguments = TrainingArguments(
        "out/hugging_face", num_train_epochs=options.epochs, per_device_train_batch_size=20, learning_rate=rate,
        per_device_eval_batch_size=200, report_to="none", save_strategy="no", logging_steps=10, use_cpu=True,
        disable_tqdm=True, seed=0,
    )  # fmt: skip
    trainer = Trainer(
        model, arguments, train_dataset=Digits(slice(0, 1200)), eval_dataset=val, compute_metrics=accuracy
    )
    trainer.train()
    print(f"accuracy {trainer.evaluate()['eval_accuracy']:.3f}")
    # Not `save_model` and `from_pretrained`: these write and read some families under the names of other versions, and
    # build the network without blocks. Build it with them, then load the weights.
    torch.save(model.state_dict(), "out/hugging_face/attended.pth")
    again = build(options.model, options.block).eval()
    again.load_state_dict(torch.load("out/hugging_face/attended.pth", weights_only=True))
    images = val.images[:4]
    with torch.no_grad():
        same = torch.equal(model.eval()(images).logits, again(images).logits)
    print(f"loaded again: logits {'the same' if same else 'differ'}")
    print(cva.usage(again, images))
    heat = cva.saliency.grad_cam(again, images)
    picture = (255 * images[0].expand(3, -1, -1)).byte().permute(1, 2, 0).numpy()
    Image.fromarray(cva.overlay(picture, heat[:1])).save(Path("out/hugging_face/saliency.png"))
    print("out/hugging_face/saliency.png")


if __name__ == "__main__":
    main()
