"""Computes scores and gradients of perturbed images, in chunks that fit into memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cv_attention.maps.wrappers import unwrap
from cv_attention.saliency.core.engine import check_images, check_logits, plain
from cv_attention.saliency.core.state import undisturbed
from cv_attention.saliency.core.targets import (
    Score,
    Targets,
    asks_prediction,
    each_target,
    fix_targets,
    target_scores,
)

AT_ONCE = 16  # images per forward pass with gradients, unless the caller's batch has more


class Scorer:
    """Computes scores of fixed targets under one model, for any number of modified copies of the images.

    Targets are resolved once, on the unchanged images; this takes a forward pass only if necessary.

    Attributes:
        model: The model without wrappers.
        images: (B, C, H, W), detached.
        chunk: Maximum number of images per forward pass.
    """

    def __init__(self, model: nn.Module, images: Tensor, targets: Targets, chunk: int) -> None:
        self.model, self.images, self.chunk = model, images, chunk
        self._given, self._fixed = targets, None
        self._logits: Tensor | None = None

    @property
    def logits(self) -> Tensor:
        """Returns the logits of the unchanged images, (B, classes)."""
        if self._logits is None:
            with torch.no_grad():
                self._logits = torch.cat([self.forward(part) for part in self.images.split(self.chunk)])
        return self._logits

    @property
    def targets(self) -> list[Tensor | Score]:
        """Returns the resolved targets as a list, each as classes (B,) or a callable."""
        return self._settle(None)

    def _settle(self, logits: Tensor | None) -> list[Tensor | Score]:
        """Resolves targets: only the predicted class needs the unchanged images' logits, others just their number."""
        if self._fixed is None:
            predicted = any(asks_prediction(target) for target in each_target(self._given))
            self._fixed = fix_targets(self.logits if predicted or logits is None else logits, self._given)
        return self._fixed

    def forward(self, images: Tensor) -> Tensor:
        """Runs the model: (B, classes)."""
        return check_logits(self.model(images), len(images), self.model)

    def of(self, logits: Tensor, *, probabilities: bool = False) -> Tensor:
        """Returns the scores (B, T) in `logits` (B, classes), or in their softmax."""
        given = logits.softmax(1) if probabilities else logits
        return torch.stack([target_scores(given, target) for target in self._settle(logits)], 1)

    def clean(self, *, probabilities: bool = False) -> Tensor:
        """Returns the scores (B, T) of the unchanged images in float32."""
        return self.of(self.logits.float(), probabilities=probabilities)

    def variants(
        self, vary: Callable[[int], Tensor], count: int, *, probabilities: bool = False
    ) -> Iterator[tuple[int, Tensor]]:
        """Yields (k, scores (B, T) in float32) of the images ``vary(k)`` (B, C, H, W), for k in 0..count - 1."""
        at_once = max(1, self.chunk // len(self.images))
        for start in range(0, count, at_once):
            numbers = range(start, min(start + at_once, count))
            batch = torch.cat([vary(k) for k in numbers])
            logits = torch.cat([self.forward(part) for part in batch.split(self.chunk)]).float()
            for k, part in zip(numbers, logits.split(len(self.images)), strict=True):
                yield k, self.of(part, probabilities=probabilities)

    def gradients(self, vary: Callable[[int], Tensor], count: int) -> Iterator[Tensor]:
        """Yields `gradient` of the images ``vary(k)`` (B, C, H, W), for k in 0..count - 1.

        As many k as fit into `chunk` share a forward pass, which is faster for small batches.
        """
        at_once = max(1, self.chunk // len(self.images))
        for start in range(0, count, at_once):
            images = torch.cat([vary(k) for k in range(start, min(start + at_once, count))])
            yield from self.gradient(images).split(len(self.images))

    def gradient(self, images: Tensor) -> Tensor:
        """Returns the derivatives (B, T, C, H, W), in float32, of each score with respect to its image (B, C, H, W).

        `images` may also be several such batches concatenated, which multiplies B.
        """
        unchanged = images is self.images
        images = images.detach().requires_grad_()
        with torch.enable_grad():
            logits = self.forward(images)
            if unchanged and self._logits is None:
                self._logits = logits.detach()
            columns = torch.cat([self.of(part) for part in logits.split(len(self.images))]).unbind(1)
            if not all(scores.requires_grad for scores in columns):
                raise ValueError(f"the target scores of {type(self.model).__name__} do not depend on the images")
            gradients = [
                torch.autograd.grad(scores.sum(), images, retain_graph=number + 1 < len(columns))[0].float()
                for number, scores in enumerate(columns)
            ]
            return torch.stack(gradients, 1)


@contextmanager
def scorer(
    model: nn.Module, images: Tensor, targets: Targets = None, *, chunk: int | None = 64, several: bool = False
) -> Iterator[Scorer]:
    """Opens a `Scorer` on the model in eval mode; restores its mode, hooks and the caller's grad mode afterwards.

    Args:
        model: Maps images to logits (B, classes).
        images: (B, C, H, W).
        targets: See `Targets`.
        chunk: Maximum number of images per forward pass; None for all.
        several: Whether an image may have several targets.

    Raises:
        ValueError: for bad images, targets or chunk, or if the model does not return logits.
    """
    images = check_images(images)
    chunk = len(images) if chunk is None else chunk
    if chunk < 1:
        raise ValueError(f"chunk must be positive, got {chunk}")
    if not several and len(each_target(targets)) > 1:
        raise ValueError(f"measures take one target per image, got {len(each_target(targets))}")
    model = unwrap(model)
    with undisturbed(model, images.device.type):
        yield Scorer(model, plain(images), targets, chunk)
