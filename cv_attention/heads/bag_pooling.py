"""Pools the images of bags by attention (Ilse et al., ICML 2018), https://arxiv.org/abs/1802.04712."""

from typing import Any

import torch
from torch import Tensor, nn

from cv_attention.blocks import AdditivePool, AttentionMap, GatedPool, HardPool, LuongPool, resolve
from cv_attention.blocks.memory import Memory

_POOLS = (AdditivePool, LuongPool, GatedPool)


class BagPooling(nn.Module):
    """Makes one vector of the vectors of each bag: ``sum_k a_k h_k``, with a softmax a over the bag.

    Paper: Attention-based multiple-instance learning (Ilse et al., ICML 2018), https://arxiv.org/abs/1802.04712.

    The weights are those of an attention pooling block, for which the bag is a feature map of one row. Padding gets the
    weight 0, and no bag sees another one. Without a block, the bag's mean is taken.

    Map: `alignment`, (B, heads, 1, T), whose last axis sums to 1.

    Args:
        channels: Length C of the vectors.
        head: The pooling: ``additive``, ``luong`` or ``gated``, as `cv_attention.blocks.resolve` takes it; None takes
            the mean.

    Raises:
        ValueError: if the head is unknown, or weighs by more than the vectors themselves.

    Examples:
        >>> import torch
        >>> from cv_attention.heads import BagPooling, Memory
        >>> pool = BagPooling(16, "gated")
        >>> keep = torch.tensor([[True, True, False], [True, True, True]])
        >>> pool(Memory(torch.randn(2, 3, 16), keep=keep)).shape
        torch.Size([2, 16])
    """

    def __init__(self, channels: int, head: Any) -> None:
        super().__init__()
        self.block: nn.Module | None = None if head is None else resolve(head)(channels)
        if self.block is not None and (not isinstance(self.block, _POOLS) or isinstance(self.block, HardPool)):
            raise ValueError(f"bags are pooled by additive, luong, gated or by their mean (null), got {head!r}")
        self.map = AttentionMap("alignment")

    def forward(self, memory: Memory) -> Tensor:
        """Returns one vector for each bag, (B, C), of a `memory` of (B, T, C)."""
        values, keep = memory.values, memory.keep
        if keep is None:  # no mask, whose values would decide what is computed: this can be traced
            return self._pooled(values, self.weights(values))
        empty = (~keep.any(1)).nonzero().flatten().tolist()
        if empty:
            raise ValueError(f"bag {empty[0]} of {len(values)} is empty: all of its {keep.shape[1]} places are padding")
        found = []
        for bag, real in zip(values, keep, strict=True):
            weights = self._weigh(bag[real][None])[0]
            found.append(weights.new_zeros(len(weights), len(real)).masked_scatter(real, weights))
        return self._pooled(values.masked_fill(~keep[..., None], 0), torch.stack(found))

    def weights(self, values: Tensor) -> Tensor:
        """Computes the weights of bags.

        Args:
            values: Vectors of bags of one size without padding, (B, T, C).

        Returns:
            (B, heads, T).
        """
        return torch.cat([self._weigh(bag) for bag in values.split(1)])

    def _pooled(self, values: Tensor, weights: Tensor) -> Tensor:
        weights = self.map(weights[:, :, None]).to(values.dtype)
        parts = values.unflatten(2, (weights.shape[1], -1))
        return torch.einsum("bhqt,bthc->bhc", weights, parts).flatten(1)

    def _weigh(self, bag: Tensor) -> Tensor:
        """Returns the weights (1, heads, T) of a bag (1, T, C) without padding."""
        count = bag.shape[1]
        if self.block is None:
            return bag.new_ones(1, 1, count) / count
        return self.block.gate(bag.mT[:, :, None]) / count  # pyright: ignore[reportCallIssue]


class BagNetwork(nn.Module):
    """Classifies bags: an encoder for every image, attention pooling over the bag, and a linear layer.

    Args:
        encoder: From images (M, 3, H, W) to vectors (M, C).
        channels: Length C of the vectors.
        classes: Number of logits.
        head: The pooling; see `BagPooling`.

    Raises:
        ValueError: as `BagPooling`.

    Examples:
        >>> import torch
        >>> from cv_attention.heads import BagNetwork
        >>> encoder = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        >>> network = BagNetwork(encoder, 8, classes=2, head="gated")
        >>> keep = torch.tensor([[True, True, False], [True, True, True]])
        >>> network(torch.randn(5, 3, 16, 16), keep).shape  # five images in two bags
        torch.Size([2, 2])
    """

    def __init__(self, encoder: nn.Module, channels: int, classes: int, head: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.pool = BagPooling(channels, head)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: Tensor, keep: Tensor | None = None) -> Tensor:
        """Returns logits (B, classes).

        Args:
            images: The real images of all bags, bag by bag, (M, 3, H, W).
            keep: Which places of the bags they fill, bool (B, T); None takes all images as one bag.
        """
        values = self.encoder(images)
        if keep is None:
            return self.classifier(self.pool(Memory(values[None])))
        padded = values.new_zeros(*keep.shape, values.shape[1])
        padded[keep] = values
        return self.classifier(self.pool(Memory(padded, keep=keep)))


class ImageOfBag(nn.Module):
    """A network of bags as a function of one image of a bag, while the others stay as they are.

    So saliency methods, also those that perturb or repeat images, explain what the bag's class owes to the image. The
    modules are the network's own, under the same names.

    Args:
        network: The network.
        values: What its encoder makes of the bag's images, (T, C).
        place: Which of them the image takes the place of.

    Raises:
        ValueError: if there is no such place.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.heads import BagNetwork, ImageOfBag
        >>> encoder = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        >>> network = BagNetwork(encoder, 8, classes=2, head="gated").eval()
        >>> bag = torch.randn(5, 3, 16, 16)
        >>> third = ImageOfBag(network, network.encoder(bag).detach(), 2)
        >>> torch.allclose(third(bag[2:3]), network(bag), atol=1e-6)
        True
        >>> cva.saliency.grad_cam(third, bag[2:3], 1).shape
        torch.Size([1, 1, 16, 16])
    """

    def __init__(self, network: BagNetwork, values: Tensor, place: int) -> None:
        super().__init__()
        self.encoder, self.pool, self.classifier = network.encoder, network.pool, network.classifier
        self.put(values, place)
        self.train(network.training)

    def put(self, values: Tensor, place: int) -> None:
        """Takes another bag, or another place in it.

        Args:
            values: What the encoder makes of the bag's images, (T, C).
            place: Which of them the image takes the place of.

        Raises:
            ValueError: if there is no such place.
        """
        if not 0 <= place < len(values):
            raise ValueError(f"place must be one of the {len(values)} of the bag, from 0, got {place}")
        self.values, self.place = values.detach(), place

    def forward(self, images: Tensor) -> Tensor:
        """Returns the logits (B, classes) of the bag with each of `images` (B, 3, H, W) in the place in turn."""
        own = self.encoder(images)
        rest = self.values.to(own)[None].expand(len(own), -1, -1)
        bags = torch.cat([rest[:, : self.place], own[:, None], rest[:, self.place + 1 :]], 1)
        return self.classifier(self.pool(Memory(bags)))
