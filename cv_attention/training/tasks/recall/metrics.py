"""Measures how well sequences were recalled: answers, by how often their class was seen; whole sequences; bits."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import Metric

MOST_INSTANCES = 10  # that have a figure of their own


class Share(Metric):
    """Computes the share of answers, or a mean over them: a sum over their number, NaN without any."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, values: Tensor) -> None:
        """Adds `values`, of any shape."""
        self.total += values.to(self.total.dtype).sum()
        self.count += values.numel()

    def compute(self) -> Tensor:
        """Returns the mean."""
        return self.total / self.count


class RecallMetrics(nn.ModuleDict):
    """Holds the metrics of a split.

    - ``accuracy``: the share of right answers.
    - ``accuracy_after_1`` (``classify``): that of images whose class has been shown before, from its second image on.
    - ``accuracy_1``, ``accuracy_2``, ... (``classify``): that of the first, second, ... image of a class.
    - ``exact`` (``copy``, ``associate``): the share of episodes all of whose answers are right.
    - ``bits``: the mean cross-entropy of an answer, in bits.

    Args:
        kind: ``classify``, ``copy`` or ``associate``.
        instances: How many images of a class an episode shows.
        dtype: Of the sums.
    """

    def __init__(self, kind: str, instances: int, dtype: torch.dtype) -> None:
        names = ["accuracy", "bits"]
        if kind == "classify":
            names += ["accuracy_after_1", *(f"accuracy_{n}" for n in range(1, min(instances, MOST_INSTANCES) + 1))]
        else:
            names.append("exact")
        metrics = {name: Share() for name in names}
        for metric in metrics.values():
            metric.set_dtype(dtype)
        super().__init__(metrics)

    def count(self, logits: Tensor, answer: Tensor, nth: Tensor) -> dict[str, Any]:
        """Counts a batch.

        Args:
            logits: (B, S, ways).
            answer: The right answers, (B, S), -1 where none is asked for.
            nth: How often each answer has been shown by then, (B, S).

        Returns:
            The metrics by name.
        """
        asked = answer >= 0
        right = (logits.argmax(2) == answer)[asked]
        loss = F.cross_entropy(logits[asked].float(), answer[asked], reduction="none") / math.log(2)
        counted: dict[str, Tensor] = {"accuracy": right, "bits": loss}
        if "exact" in self:
            counted["exact"] = ((logits.argmax(2) == answer) | ~asked).all(1)
        else:
            counted["accuracy_after_1"] = right[nth[asked] > 1]
            for name in self:
                if name.removeprefix("accuracy_").isdecimal():
                    counted[name] = right[nth[asked] == int(name.removeprefix("accuracy_"))]
        metrics: dict[str, Any] = dict(self.items())
        for name, metric in metrics.items():
            metric.update(counted[name])
        return metrics
