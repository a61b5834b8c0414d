"""Selects the epoch whose network is tested: the best by validation, or the last on small splits."""

from dataclasses import dataclass
from math import sqrt
from typing import Literal

# A validation split is small if one standard error of the best accuracy exceeds this: below 900 images at 90 %.
SMALL = 0.01
# Then the last epoch is selected, unless it is more than this many standard errors below the best: it broke down.
TOLERANCE = 2.0


@dataclass(frozen=True)
class Selected:
    """Holds the selected epoch, ``best`` or ``last``, and the reason."""

    epoch: Literal["best", "last"]
    reason: str


def select(wish: Literal["auto", "best", "last"], best: float | None, last: float | None, images: int) -> Selected:
    """Chooses between the best epoch by validation accuracy and the last.

    The highest of many accuracies on few images is mostly luck: with 24 images and 90 % accuracy, one standard error is
    6 points. With a schedule that ends near zero, the last epoch is then the natural choice; if training broke down,
    the drop is larger than chance, and the best epoch is selected.

    Args:
        wish: ``trainer.select``.
        best: Highest validation accuracy of all epochs in [0, 1]; None without validation.
        last: Validation accuracy of the last validated epoch.
        images: Number of validation images.

    Returns:
        The choice.
    """
    if best is None or last is None:
        return Selected("last", "no epoch was validated")
    if wish != "auto":
        return Selected(wish, f"trainer.select is {wish}")
    error = standard_error(best, images)
    known = f"{images:,} validation images give accuracies to ±{100 * error:.1f} points"
    if error <= SMALL:
        return Selected("best", known)
    gap = best - last
    if gap > TOLERANCE * error:
        return Selected("best", f"{known}, and the last epoch is {100 * gap:.1f} points below the best")
    return Selected("last", f"{known}, too few to choose an epoch by")


def standard_error(accuracy: float, images: int) -> float:
    """Estimates the standard error of an accuracy, after Agresti and Coull: 24 of 24 correct is not certainty.

    Two correct and two wrong predictions are added to the counts.
    """
    counted = images + 4
    share = (accuracy * images + 2) / counted
    return sqrt(share * (1 - share) / counted)
