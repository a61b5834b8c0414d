"""Defines the network that recalls: a reader of images, and a head over their sequence."""

from typing import Any

import torch
from torch import Tensor, nn

from cv_attention.heads.memory.recall import RecallHead

_LONGEST = 65_536  # of an image's features


class RecallNetwork(nn.Module):
    """Names images of sequences from what it remembers: a reader sees each image, and a head has the memory.

    Args:
        reader: From images to a `Memory`, with ``channels`` and ``grid``; see `backbones.reader`.
        ways: Number of labels.
        options: Options of the `RecallHead`.

    Attributes:
        reader: The reader.
        head: The head; ``head.read`` and ``head.write`` show its weights.

    Raises:
        ValueError: if an option is wrong, or the features of an image are too many.

    Examples:
        >>> import torch
        >>> from cv_attention import backbones
        >>> from cv_attention.heads import RecallNetwork
        >>> model = backbones.build("convnet", widths=[8, 8], strides=[2, 2])
        >>> network = RecallNetwork(backbones.reader(model, input_size=(16, 16)), 5, {"slots": 8}).eval()
        >>> images, told = torch.randn(2, 3, 3, 16, 16), torch.tensor([[-1, 3, 0], [-1, 1, 1]])
        >>> network(images, told).shape
        torch.Size([2, 3, 5])
    """

    def __init__(self, reader: nn.Module, ways: int, options: dict[str, object]) -> None:
        super().__init__()
        known: Any = reader
        (rows, columns), channels = known.grid, known.channels
        if options.get("features", "grid") == "grid":
            channels *= rows * columns
        if channels > _LONGEST:
            raise ValueError(
                f"features grid makes {channels:,} numbers of each image, {columns}x{rows} positions; at most "
                f"{_LONGEST:,} are taken: use a backbone with larger strides, or features mean"
            )
        self.reader = reader
        self.head = RecallHead(channels, ways, **options)  # pyright: ignore[reportArgumentType]

    def forward(
        self,
        images: Tensor,
        told: Tensor | None = None,
        place: Tensor | None = None,
        asked: Tensor | None = None,
        keep: Tensor | None = None,
    ) -> Tensor:
        """Computes the logits of every step.

        Args:
            images: (B, T, 3, H, W), normalised as the backbone takes them; one episode, (T, 3, H, W); or with `keep`
                the real images of all episodes, one behind the other, (M, 3, H, W).
            told: The label that arrives at each of S steps, int64 (B, S), -1 where none does; None for no labels.
            place: Which image each step shows, from 0 on, int64 (B, S), -1 for none; None shows one after the other.
            asked: Whether an answer is asked for, bool (B, S); None for no step.
            keep: Which of the T images of each episode are real, bool (B, T); None for all.

        Returns:
            (B, S, ways).
        """
        features = self.features(images, keep)
        if place is None:
            place = torch.arange(features.shape[1], device=features.device).expand(features.shape[:2])
        told = torch.full_like(place, -1) if told is None else told
        wanted = place.clamp(min=0)[..., None].expand(-1, -1, features.shape[2])
        return self.head(features.gather(1, wanted), told, place >= 0, asked)

    def features(self, images: Tensor, keep: Tensor | None = None) -> Tensor:
        """Returns the features (B, T, C) of the images of episodes, zeros where there is none.

        Args:
            images: As `forward` takes them.
            keep: Which of the T images of each episode are real, bool (B, T); None for all.
        """
        if keep is None:
            images = images[None] if images.ndim == 4 else images
            return self.embed(images.flatten(0, 1)).unflatten(0, images.shape[:2])
        values = self.embed(images)
        padded = values.new_zeros(*keep.shape, values.shape[1])
        padded[keep] = values
        return padded

    def embed(self, images: Tensor) -> Tensor:
        """Returns the features (N, C) of `images` (N, 3, H, W)."""
        values = self.reader(images).values
        return values.flatten(1) if self.head.features == "grid" else values.mean(1)
