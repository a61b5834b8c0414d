"""Computes scores and gradients of perturbed images, in chunks that fit into memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from cv_attention.maps.wrappers import unwrap
from cv_attention.saliency.core.engine import check_images, plain
from cv_attention.saliency.core.forward import run
from cv_attention.saliency.core.outputs.links import Link, check_link, quantity
from cv_attention.saliency.core.outputs.results import Result, bare_logits
from cv_attention.saliency.core.state import undisturbed
from cv_attention.saliency.core.targets import (
    Score,
    Target,
    Targets,
    asks_prediction,
    each_target,
    fix_targets,
    has_callable,
    has_class,
    of_images,
)

AT_ONCE = 16  # images per forward pass with gradients, unless the caller's batch has more
# Pixels of all copies in a forward pass without gradients on a processor, whose caches hold no more: four images of
# 224x224. With 64 of them, a network takes 1.1 to 3 times as long for each, with eight up to 1.6 times
# (results/saliency_speed.md).
_IN_CACHE = 4 * 224 * 224


class Scorer:
    """Computes scores of fixed targets under one model, for any number of modified copies of the images.

    Targets are resolved once, on the unchanged images; this takes a forward pass only if necessary.

    Attributes:
        model: The model without wrappers.
        images: (B, C, H, W), detached.
        chunk: Maximum number of images per forward pass.
        link: What turns the output into the quantity that is followed, see `quantity`.
    """

    def __init__(
        self, model: nn.Module, images: Tensor, targets: Targets, chunk: int, link: Link | None = None
    ) -> None:
        self.model, self.images, self.chunk = model, images, chunk
        self.link: Link | None = link
        self._given, self._fixed = targets, None
        self._results: list[Result] | None = None

    @property
    def logits(self) -> Tensor:
        """Returns the logits of the unchanged images, (B, classes)."""
        return torch.cat([result.logits for result in self.results])

    @property
    def results(self) -> list[Result]:
        """Returns what the model makes of the unchanged images, in parts of at most `chunk`."""
        if self._results is None:
            with torch.no_grad():
                self._results = [self.forward(self.images[part], part) for part in self.parts()]
        return self._results

    @property
    def targets(self) -> list[Tensor | Score]:
        """Returns the resolved targets as a list, each as classes (B,) or a callable."""
        return self._settle(None)

    def _settle(self, logits: Tensor | None) -> list[Tensor | Score]:
        """Resolves targets: only the predicted class needs the unchanged images' logits, others just their number."""
        if self._fixed is None:
            given = each_target(self._given)
            if not any(has_class(target) for target in given):
                self._fixed = given
            else:
                predicted = any(asks_prediction(target) for target in given)
                self._fixed = fix_targets(self.logits if predicted or logits is None else logits, self._given)
        return self._fixed  # pyright: ignore[reportReturnType]

    def parts(self) -> list[slice]:
        """Returns the parts of the batch that fit into one pass."""
        return [slice(start, start + self.chunk) for start in range(0, len(self.images), self.chunk)]

    def copies(self, batch: int) -> int:
        """Returns how many copies of `batch` images share a forward pass: as many as fit and are fast, at least one."""
        most = self.chunk
        if self.images.device.type == "cpu":
            most = min(most, _IN_CACHE // prod(self.images.shape[2:]))
        return max(1, most // batch)

    def forward(self, images: Tensor, part: slice | None = None) -> Result:
        """Runs the model on copies of the images, or of a `part`; where targets are classes, only logits are kept."""
        output = run(self.model, images, part)
        if not any(map(has_callable, each_target(self._given))):
            output = bare_logits(output)
        return Result(output, len(images), type(self.model).__name__)

    def of(self, result: Result, *, probabilities: bool = False, part: slice | None = None) -> Tensor:
        """Returns the scores (B, T) in float32, or the quantity that is perturbed; see `quantity`.

        Args:
            result: What the model returned for the images, or for a `part` of them.
            probabilities: Whether to return probabilities where targets are classes.
            part: Which of the images; None for all.
        """
        logits = result.logits if part is None and result.has_logits else None
        targets: list[Any] = list(self._settle(logits))
        if part is not None:
            targets = [of_images(target, part, len(self.images)) for target in targets]
        link: Link | None = self.link if probabilities else "identity"
        rows = [quantity(result, target, link) for target in targets]
        return torch.stack(rows, 1)

    def clean(self, *, probabilities: bool = False) -> Tensor:
        """Returns the scores (B, T) of the unchanged images in float32."""
        return self._joined(self.results, probabilities)

    def _joined(self, results: list[Result], probabilities: bool) -> Tensor:
        """Returns the scores (B, T) of all images from what the model returned for parts of them."""
        if len(results) == 1:
            return self.of(results[0], probabilities=probabilities)
        ends = list(accumulate(result.batch for result in results))
        parts = [slice(end - result.batch, end) for end, result in zip(ends, results, strict=True)]
        scores = [self.of(r, probabilities=probabilities, part=part) for r, part in zip(results, parts, strict=True)]
        return torch.cat(scores)

    def variants(
        self, vary: Callable[[int], Tensor], count: int, *, probabilities: bool = False
    ) -> Iterator[tuple[int, Tensor]]:
        """Yields (k, scores (B, T) in float32) of the images ``vary(k)`` (B, C, H, W), for k in 0..count - 1.

        Several k share a forward pass where the model returns a tensor with one entry per image; what it returns
        otherwise cannot be split.
        """
        at_once = self.copies(len(self.images))
        start = 0
        while start < count:
            numbers = range(start, min(start + at_once, count))
            images = [vary(k) for k in numbers]  # once for each k, as they may be drawn
            results = self._run(images)
            if results is None:
                at_once, results = 1, [one for image in images for one in self._run([image]) or []]
            for k, of_variant in zip(numbers, results, strict=True):
                yield k, self._joined(of_variant, probabilities)
            start = numbers.stop

    def alone(self, images: Tensor, number: int, target: Target) -> Tensor:
        """Returns the quantity (n,) in float32 of n variants of image `number`, for a `target` of that image."""
        part = slice(number, number + 1)
        with torch.no_grad():
            result = self.forward(images, part)
            parts = result.split(1) or [self.forward(one, part) for one in images.split(1)]
            return torch.cat([quantity(one, target, self.link) for one in parts])

    def _run(self, variants: list[Tensor]) -> list[list[Result]] | None:
        """Returns what the model makes of each variant, in parts; None if several do not fit into one pass."""
        if len(variants) == 1:
            return [[self.forward(variants[0][part], part) for part in self.parts()]]
        result = self.forward(torch.cat(variants))
        split = result.split(len(self.images))
        return None if split is None else [[one] for one in split]

    def no_gradient(self) -> str:
        """Returns the message where no gradient leads from the scores to the images."""
        return (
            f"the target scores of {type(self.model).__name__} do not depend on the images by any gradient: all that "
            "leads to them is detached, or computed without gradients; perturbation methods such as rise need none"
        )

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
            result = self.forward(images)
            parts = result.split(len(self.images))
            if parts is None:  # the output cannot be split
                return torch.cat([self.gradient(part) for part in images.split(len(self.images))])
            if unchanged and self._results is None and isinstance(result.value, Tensor):
                self._results = [result.detached()]
            columns = torch.cat([self.of(part) for part in parts]).unbind(1)
            gradients = []
            for number, scores in enumerate(columns):
                gradient, keep = None, number + 1 < len(columns)
                if scores.requires_grad:
                    [gradient] = torch.autograd.grad(scores.sum(), images, retain_graph=keep, allow_unused=True)
                if gradient is None:
                    raise ValueError(self.no_gradient())
                gradients.append(gradient.float())
            return torch.stack(gradients, 1)


@contextmanager
def scorer(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    chunk: int | None = 64,
    several: bool = False,
    link: Link | None = None,
) -> Iterator[Scorer]:
    """Opens a `Scorer` on the model in eval mode; restores its mode, hooks and the caller's grad mode afterwards.

    Args:
        model: Maps images to logits (B, classes).
        images: (B, C, H, W).
        targets: See `Targets`.
        chunk: Maximum number of images per forward pass; None for all.
        several: Whether an image may have several targets.
        link: What turns the output into the quantity that is followed, see `quantity`.

    Raises:
        ValueError: for bad images, targets, chunk or link, or if the model does not return logits.
    """
    images = check_images(images)
    chunk = len(images) if chunk is None else chunk
    if chunk < 1:
        raise ValueError(f"chunk must be positive, got {chunk}")
    if not several and len(each_target(targets)) > 1:
        raise ValueError(f"measures take one target per image, got {len(each_target(targets))}")
    model = unwrap(model)
    with undisturbed(model, images.device.type):
        yield Scorer(model, plain(images), targets, chunk, check_link(link))
