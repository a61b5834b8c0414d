"""A report from a LightningModule of your own, by a callback of ten lines.

python examples/report_from_lightning.py    # a few seconds on a CPU; writes runs/digits_lightning
"""

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import cv_attention as cva


class ReportCallback(Callback):
    """Logs every validated epoch, and builds the page at the end of the fit."""

    def __init__(self, recorder: cva.report.Recorder) -> None:
        self.recorder = recorder

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Records the epoch; validation and its metrics are complete by now."""
        if trainer.is_global_zero:
            self.recorder.log(pl_module, trainer.current_epoch, step=trainer.global_step, **trainer.callback_metrics)

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Builds the page."""
        if trainer.is_global_zero:
            print(self.recorder.close())


class DigitsModule(lightning.LightningModule):
    """Self-attention over the 64 pixels of a grey image; as any LightningModule, it knows nothing of reports."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, 32, 3, padding=1)
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        self.norm = nn.LayerNorm(32)
        self.classify = nn.Linear(32, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns the logits (B, 10) of images (B, 1, 8, 8)."""
        tokens = self.embed(images).flatten(2).mT
        attended, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        return self.classify(self.norm(tokens + attended).mean(1))

    def training_step(self, batch: list[torch.Tensor], step: int) -> torch.Tensor:
        """Returns the loss."""
        loss = functional.cross_entropy(self(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: list[torch.Tensor], step: int) -> None:
        """Logs the accuracy."""
        logits = self(batch[0])
        self.log("val_loss", functional.cross_entropy(logits, batch[1]))
        self.log("val_accuracy", (logits.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Returns Adam."""
        return torch.optim.Adam(self.parameters(), lr=0.003)


def main() -> None:
    """Trains the module and writes its report."""
    lightning.seed_everything(0, verbose=False)
    digits = load_digits()
    images, labels = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16, torch.tensor(digits.target)
    train = DataLoader(TensorDataset(images[:1300], labels[:1300]), batch_size=50, shuffle=True)
    val = DataLoader(TensorDataset(images[1300:], labels[1300:]), batch_size=500)
    recorder = cva.report.Recorder(
        "runs/digits_lightning", images[1300:1316], labels[1300:1316], methods=("input_x_gradient",)
    )
    trainer = lightning.Trainer(
        max_epochs=4,
        accelerator="cpu",
        callbacks=[ReportCallback(recorder)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    trainer.fit(DigitsModule(), train, val)


if __name__ == "__main__":
    main()
