"""Measures how well texts were read: characters, words and whole texts."""

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.text import CharErrorRate, WordErrorRate


class CharacterErrorRate(CharErrorRate):
    """Computes the character error rate of all texts together: the sum of edit distances over that of lengths.

    Where all texts are empty, it is the number of characters that were read; torchmetrics' is then infinite.
    """

    def compute(self) -> Tensor:
        """Returns the rate, at least 0; 1 or more where nothing was right."""
        return self.errors / torch.clamp(torch.as_tensor(self.total), min=1)


class WordAccuracy(WordErrorRate):
    """Computes 1 minus the word error rate, at least 0: of texts that are one word each, the share read right."""

    higher_is_better = True

    def compute(self) -> Tensor:
        """Returns the accuracy in [0, 1]."""
        return torch.clamp(1 - self.errors / torch.clamp(torch.as_tensor(self.total), min=1), min=0)


class Exact(MeanMetric):
    """Computes the share of texts that were read without any error."""

    higher_is_better = True

    def update(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, preds: list[str], target: list[str]
    ) -> None:
        """Counts the texts of a batch."""
        super().update(torch.tensor([float(read == true) for read, true in zip(preds, target, strict=True)]))


def create_reading_metrics(dtype: torch.dtype) -> nn.ModuleDict:
    """Creates the metrics ``cer``, ``exact`` and ``word_accuracy`` of the splits ``val`` and ``test``.

    Args:
        dtype: Of the sums.
    """
    collection = MetricCollection({"cer": CharacterErrorRate(), "exact": Exact(), "word_accuracy": WordAccuracy()})
    collection.set_dtype(dtype)
    return nn.ModuleDict({split: collection.clone(prefix=f"{split}_") for split in ("val", "test")})
