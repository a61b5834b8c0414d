"""Holds the hosts at the ends of a network's stages."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stages:
    """The hosts at the ends of a network's stages.

    Attributes:
        down: Those on the way down from the image, by which stages are counted.
        up: Those of a decoder, from the deepest to the finest, in the order of the forward.
        end: Index of the encoder's end, behind which nothing belongs to a stage; None where a classifier follows.
    """

    down: list[str]
    up: list[str]
    end: int | None = None
