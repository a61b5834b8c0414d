"""Holds what images were taken for, and because of which remembered ones."""

from dataclasses import dataclass

from torch import Tensor

Label = str | int


@dataclass(frozen=True)
class Recollection:
    """Holds what B images were taken for, and because of which of the N remembered images.

    Attributes:
        labels: The most probable class of each image.
        confidences: Its probability, float32 (B,).
        probabilities: float32 (B, C), in the order of ``ImageMemory.classes``.
        weights: float32 (B, N), what each remembered image contributed; those of one class add up to its probability.
        similarities: float32 (B, N), cosine similarity of the features.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> images = torch.eye(4).view(4, 1, 2, 2)
        >>> memory = cva.heads.recall(lambda x: x.flatten(1), images, ["bolt", "bolt", "nut", "nut"], strength=5)
        >>> memory.read(images[2:]).because(1)
        [[(2, 0.98...)], [(3, 0.98...)]]
    """

    labels: list[Label]
    confidences: Tensor
    probabilities: Tensor
    weights: Tensor
    similarities: Tensor

    def because(self, most: int = 5) -> list[list[tuple[int, float]]]:
        """Lists the remembered images that contributed most to each answer.

        Args:
            most: How many at most.

        Returns:
            For each image the positions of remembered images with their weights, the largest first, and among equal
            weights the most similar first.
        """
        order = [
            sorted(range(len(row)), key=lambda i, row=row, near=near: (-row[i], -near[i]))[:most]
            for row, near in zip(self.weights.tolist(), self.similarities.tolist(), strict=True)
        ]
        return [[(i, float(self.weights[row, i])) for i in found] for row, found in enumerate(order)]
