"""Implements the target of object detectors."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from cv_attention.saliency.targets.outputs import cut

Found = list[tuple[Tensor, Tensor]]  # of each image: boxes (n, 4), x0 y0 x1 y1 in pixels, and scores (n,) of one class


@dataclass(frozen=True, eq=False)
class Box:
    """The score of the best detection of a class at a place."""

    index: int
    box: Tensor
    iou: float
    size: tuple[int, int] | None

    def __call__(self, output: Any) -> Tensor:
        """Computes the scores (B,)."""
        found = self._found(output)
        places = self.box.expand(len(found), 4) if self.box.dim() == 1 else self.box
        if len(places) != len(found):
            raise ValueError(f"box: {len(places)} boxes for {len(found)} images")
        return torch.stack([self._best(*one, place) for one, place in zip(found, places, strict=True)])

    def _best(self, boxes: Tensor, scores: Tensor, place: Tensor) -> Tensor:
        near = overlap(boxes.detach().float(), place.to(boxes.device)) >= self.iou
        return scores[near].amax() if bool(near.any()) else scores.sum() * 0  # zero, within the graph

    def _found(self, output: Any) -> Found:
        if isinstance(output, list | tuple) and output and all(isinstance(one, Mapping) for one in output):
            return [_of_torchvision(one, self.index) for one in output]
        logits, boxes = getattr(output, "logits", None), getattr(output, "pred_boxes", None)
        if isinstance(logits, Tensor) and isinstance(boxes, Tensor):
            return self._of_detr(logits, boxes)
        first = output
        while isinstance(first, list | tuple) and first:  # a segmenting YOLO's come with prototypes of masks
            first = first[0]
        if isinstance(first, Tensor) and first.dim() == 3 and 5 <= first.shape[1] <= first.shape[2]:
            return self._of_yolo(first)
        raise ValueError(
            "box: needs the output of a torchvision detector (a list of dicts), of DETR (logits and pred_boxes) or of "
            f"YOLO (B, 4 + classes, n) before its end-to-end head, got a {type(output).__name__}"
        )

    def _of_detr(self, logits: Tensor, boxes: Tensor) -> Found:
        if self.size is None:
            raise ValueError("box: DETR returns boxes as fractions of the image; give size=(height, width)")
        self._check(logits.shape[2] - 1)
        height, width = self.size
        pixels = _corners(boxes) * torch.tensor([width, height, width, height]).to(boxes)
        return list(zip(pixels, logits.softmax(2)[..., self.index], strict=True))

    def _of_yolo(self, found: Tensor) -> Found:
        self._check(found.shape[1] - 4)
        return list(zip(_corners(found[:, :4].mT), found[:, 4 + self.index], strict=True))

    def _check(self, classes: int) -> None:
        if not 0 <= self.index < classes:
            raise ValueError(f"box: the class must be in 0..{classes - 1}, got {self.index}")

    def of_part(self, part: slice, batch: int) -> "Box":
        """Returns the target of the images in `part` of a batch."""
        return replace(self, box=cut(self.box, part, batch, 1))

    def __str__(self) -> str:
        """Returns the target in words."""
        return f"class {self.index} at {self.box.tolist()}"


def box(index: int, box: Tensor | list[float], iou: float = 0.5, *, size: tuple[int, int] | None = None) -> Box:
    """Defines the score of a detection as the target: of a class, at a place.

    It is the highest score of the class among detections that overlap the box enough, and 0 if there are none, as in
    D-RISE (Petsiuk et al., CVPR 2021), https://arxiv.org/abs/2006.03204. Takes what torchvision's detectors return (a
    list of dicts of boxes, labels and scores), DETR's ``logits`` and ``pred_boxes``, and the predictions
    (B, 4 + classes, n) of ultralytics' YOLO before suppression, alone or first of a tuple, also of a
    tuple in it, as of the networks that segment.

    Args:
        index: Class.
        box: x0, y0, x1, y1 in pixels, (4,), or one for each image, (B, 4).
        iou: Least intersection over union of a detection with the box, in [0, 1].
        size: Height and width of the images, needed for DETR, whose boxes are fractions.

    Returns:
        The target, a callable from what the model returns to scores (B,).

    Raises:
        ValueError: for bad boxes, or outputs of other models.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> found = {"boxes": torch.tensor([[0.0, 0, 10, 10], [20.0, 20, 30, 30]]), "labels": torch.tensor([1, 1]),
        ...          "scores": torch.tensor([0.4, 0.9])}
        >>> cva.saliency.targets.box(1, [1, 1, 10, 10])([found])
        tensor([0.4000])
    """
    place = torch.as_tensor(box, dtype=torch.float32)
    if place.dim() not in (1, 2) or place.shape[-1] != 4 or not bool((place[..., 2:] > place[..., :2]).all()):
        raise ValueError(f"box: must be x0, y0, x1, y1 with x1 > x0 and y1 > y0, (4,) or (B, 4), got {box}")
    if not 0 <= iou <= 1:
        raise ValueError(f"box: iou must be in [0, 1], got {iou}")
    return Box(index, place.detach(), iou, size)


def overlap(boxes: Tensor, place: Tensor) -> Tensor:
    """Returns the intersection over union of boxes (n, 4) with one (4,): (n,)."""
    inner = (torch.minimum(boxes[:, 2:], place[2:]) - torch.maximum(boxes[:, :2], place[:2])).clamp(min=0).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(1) + (place[2:] - place[:2]).prod()
    return inner / (areas - inner)


def _of_torchvision(found: Mapping[str, Tensor], index: int) -> tuple[Tensor, Tensor]:
    missing = [name for name in ("boxes", "labels", "scores") if name not in found]
    if missing:
        raise ValueError(f"box: a detection has no {missing[0]!r}, only {', '.join(map(str, found))}")
    own = found["labels"] == index
    return found["boxes"][own], found["scores"][own]


def _corners(boxes: Tensor) -> Tensor:
    """Converts centres and sizes (..., 4) to corners."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat([centre - size / 2, centre + size / 2], -1)
