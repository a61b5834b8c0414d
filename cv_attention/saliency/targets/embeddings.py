"""Implements targets on embeddings: similarity to another image, or to a text."""

from dataclasses import dataclass, replace
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from cv_attention.saliency.core.outputs.links import Link, apply, usual
from cv_attention.saliency.targets.outputs import Key, cut, pick

_USUAL = ("image_embeds", "embedding", "embeddings", "pooler_output")


@dataclass(frozen=True, eq=False)
class Similarity:
    """The cosine of an image's embedding and a given one."""

    embedding: Tensor
    key: Key

    def __call__(self, output: Any) -> Tensor:
        """Computes the scores (B,)."""
        own = pick(output, self.key, _USUAL, (2,), "similarity")
        return F.cosine_similarity(own, _fitting(self.embedding, own, "similarity"), dim=-1)

    def of_part(self, part: slice, batch: int) -> "Similarity":
        """Returns the target of the images in `part` of a batch."""
        return replace(self, embedding=cut(self.embedding, part, batch, 1))

    def __str__(self) -> str:
        """Returns the target in words."""
        return "similarity to an embedding"


def similarity(embedding: Tensor, *, key: Key = None) -> Similarity:
    """Defines the cosine similarity to an embedding as the target: why two images are alike.

    Args:
        embedding: The other embedding, (D,), or one for each image, (B, D).
        key: Entry of a dict, tuple or ModelOutput that holds the embeddings (B, D); None uses the tensor itself,
            ``image_embeds``, ``embedding``, ``embeddings`` or ``pooler_output``.

    Returns:
        The target, a callable from what the model returns to scores (B,).

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> alike = cva.saliency.targets.similarity(torch.tensor([1.0, 0.0]))
        >>> alike(torch.tensor([[3.0, 4.0], [2.0, 0.0]]))
        tensor([0.6000, 1.0000])
    """
    return Similarity(_checked(embedding, "similarity"), key)


@dataclass(frozen=True, eq=False)
class Text:
    """The logit of one of several prompts."""

    embeddings: Tensor
    index: int
    scale: float
    bias: float | None
    key: Key

    def _logits(self, output: Any) -> Tensor:
        own = pick(output, self.key, _USUAL, (2,), "text")
        logits = self.scale * F.normalize(own, dim=-1) @ F.normalize(_fitting(self.embeddings, own, "text"), dim=-1).mT
        return logits if self.bias is None else logits + self.bias

    def __call__(self, output: Any) -> Tensor:
        """Computes the scores (B,)."""
        return self._logits(output)[:, self.index]

    def link(self, output: Any) -> Link:
        """Returns what turns the output into the quantity that perturbation methods follow."""
        return "sigmoid" if self.bias is not None else usual(self._logits(output))

    def linked(self, output: Any, link: Link) -> Tensor:
        """Computes what perturbation methods follow, (B,): the softmax over the prompts, with a bias the sigmoid."""
        return apply(self._logits(output).float(), link)[:, self.index]

    def __str__(self) -> str:
        """Returns the target in words."""
        return f"prompt {self.index} of {len(self.embeddings)}"


def text(
    embeddings: Tensor, index: int = 0, *, scale: float = 100.0, bias: float | None = None, key: Key = None
) -> Text:
    """Defines how well an image fits a text as the target, for CLIP, SigLIP and others with a common space.

    Args:
        embeddings: Embeddings of the prompts, (prompts, D) or (D,), normalised here.
        index: Which prompt is explained.
        scale: The model's logit scale, ``model.logit_scale.exp()``; 100 in CLIP.
        bias: The model's logit bias, for SigLIP: perturbation methods then follow the sigmoid. None follows the
            softmax over the prompts, as in CLIP.
        key: Entry of a dict, tuple or ModelOutput that holds the images' embeddings (B, D); None uses the tensor
            itself, ``image_embeds`` or ``pooler_output``.

    Returns:
        The target, a callable from what the model returns to scores (B,).

    Raises:
        ValueError: if there is no such prompt.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> prompts = torch.eye(2)  # model.get_text_features(...)
        >>> cat = cva.saliency.targets.text(prompts, 0, scale=10)
        >>> cat(torch.tensor([[0.6, 0.8]]))
        tensor([6.])
    """
    embeddings = _checked(embeddings, "text").reshape(-1, embeddings.shape[-1])
    if not 0 <= index < len(embeddings):
        raise ValueError(f"text: index must be in 0..{len(embeddings) - 1}, got {index}")
    return Text(embeddings, index, float(scale), None if bias is None else float(bias), key)


def _checked(embedding: Tensor, target: str) -> Tensor:
    if not isinstance(embedding, Tensor) or embedding.dim() not in (1, 2) or not embedding.is_floating_point():
        got = f"{embedding.dtype} {tuple(embedding.shape)}" if isinstance(embedding, Tensor) else type(embedding)
        raise ValueError(f"{target}: embeddings must be floats (D,) or (n, D), got {got}")
    return embedding.detach()


def _fitting(embedding: Tensor, own: Tensor, target: str) -> Tensor:
    if embedding.shape[-1] != own.shape[-1]:
        raise ValueError(f"{target}: the embedding has {embedding.shape[-1]} numbers, the model's {own.shape[-1]}")
    return embedding.to(own)
