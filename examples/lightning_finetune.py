"""Attention in a LightningModule of your own: blocks learn faster than the rest, and a checkpoint brings them back.

python examples/lightning_finetune.py    # timm's ResNet on scikit-learn's digits, seconds on a CPU; writes lightning/
"""

import lightning
import timm
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from sklearn.datasets import load_digits
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import cv_attention as cva


class Attended(lightning.LightningModule):
    """A network of timm with blocks. They are inserted in `__init__`, so that `load_from_checkpoint` finds them.

    Args:
        name: Name of the network.
        block: Name of the block.
        rate: Learning rate of the network; blocks take ten times as much.
    """

    def __init__(self, name: str = "resnet10t", block: str = "se", rate: float = 1e-3) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.network = timm.create_model(name, num_classes=10, in_chans=1)  # pretrained=True: the start is not hurt
        cva.insert(self.network, block, "residual", init="identity", input_size=(1, 32, 32))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns the logits (B, 10)."""
        return self.network(images)

    def training_step(self, batch: list[torch.Tensor], step: int) -> torch.Tensor:
        """Returns the loss."""
        return functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch: list[torch.Tensor], step: int) -> None:
        """Logs the accuracy."""
        self.log("accuracy", (self(batch[0]).argmax(1) == batch[1]).float().mean(), prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Returns AdamW with a rate for the blocks."""
        part, rate = cva.backbones.parameter_parts(self.network), self.hparams["rate"]
        groups = {"blocks": 10 * rate, "head": rate, "backbone": rate}
        return torch.optim.AdamW(
            {"params": [p for name, p in self.network.named_parameters() if part[name] == group], "lr": value}
            for group, value in groups.items()
        )


def main() -> None:
    """Trains, loads the best checkpoint, and looks."""
    lightning.seed_everything(0, verbose=False)
    digits = load_digits()
    images = functional.interpolate(torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16, (32, 32))
    labels = torch.tensor(digits.target)
    train = DataLoader(TensorDataset(images[:1200], labels[:1200]), batch_size=25, shuffle=True)
    val = DataLoader(TensorDataset(images[1200:], labels[1200:]), batch_size=300)
    best = ModelCheckpoint("lightning", monitor="accuracy", mode="max", enable_version_counter=False)
    trainer = lightning.Trainer(
        max_epochs=4, accelerator="cpu", callbacks=[best], logger=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Attended(), train, val)
    model = Attended.load_from_checkpoint(best.best_model_path).eval()
    print(f"accuracy of the best checkpoint {best.best_model_score:.3f}")
    print(cva.usage(model.network, images[:50]))
    with cva.record(model) as maps, torch.no_grad():
        model(images[:4])
    print(f"{len(maps)} maps; Grad-CAM {tuple(cva.saliency.grad_cam(model, images[:4]).shape)}")


if __name__ == "__main__":
    main()
