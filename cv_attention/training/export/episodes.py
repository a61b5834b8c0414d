"""Wraps a network that recalls as a function of the images and known labels of whole episodes, for graphs."""

from typing import Any

import torch
from torch import Tensor, nn

from cv_attention.heads import RecallNetwork
from cv_attention.training.tasks.recall.steps import NONE, lay_out


class EpisodeNetwork(nn.Module):
    """Names the images of episodes of one fixed length: the unrolled steps of a network that recalls.

    Args:
        network: The network.
        facts: What it knows of its data: the kind of episode, the number of labels and of images.

    Attributes:
        inputs: Name of each input: ``images``, and ``labels`` where they are shown.
    """

    place: Tensor
    asked: Tensor

    def __init__(self, network: RecallNetwork, facts: Any) -> None:
        super().__init__()
        self.network, self.kind, self.ways, self.length = network, facts.kind, facts.ways, facts.length
        full = torch.zeros(1, facts.length, dtype=torch.int64)
        steps = lay_out(facts.kind, {"labels": full, "instances": full, "target": full[:, 0]})
        self.register_buffer("place", steps.place, persistent=False)
        self.register_buffer("asked", steps.asked, persistent=False)
        self.inputs = ["images", "labels"] if facts.kind == "classify" else ["images"]

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Computes the logits of every step.

        Args:
            images: (B, T, 3, H, W), normalised.
            labels: What is known of the images, int64 (B, T), -1 where nothing is; each arrives one step later.

        Returns:
            (B, S, ways).
        """
        place, asked = (each.expand(images.shape[0], -1) for each in (self.place, self.asked))
        told = torch.full_like(place, NONE)
        if labels is not None:
            told = torch.cat([told[:, :1], labels[:, :-1]], 1)
        return self.network(images, told, place, asked)

    def example(self, batch: int, generator: torch.Generator) -> Tensor:
        """Returns random labels (B, T), some of them unknown."""
        return torch.randint(NONE, self.ways, (batch, self.length), generator=generator)
