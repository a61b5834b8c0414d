"""Compares epochs by their validation metric, and selects the epoch whose network is tested."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Literal

from cv_attention.suggest import suggest

# A validation split is small if one standard error of the best accuracy exceeds this: below 900 images at 90 %.
SMALL = 0.01
# Then the last epoch is selected, unless it is more than this many standard errors below the best: it broke down.
TOLERANCE = 2.0


@dataclass(frozen=True)
class Criterion:
    """Names the validation metric that epochs are compared by.

    Attributes:
        metric: Name of the metric without the split: ``accuracy`` is logged as ``val_accuracy``.
        higher_is_better: Whether the best epoch has the highest value, or the lowest.

    Examples:
        >>> from cv_attention.training import Criterion
        >>> Criterion("mse", higher_is_better=False).is_better(0.1, than=0.2)
        True
        >>> Criterion("accuracy").is_better(float("nan"), than=0.5)
        False
    """

    metric: str
    higher_is_better: bool = True

    def is_better(self, value: float, than: float) -> bool:
        """Returns whether `value` is better than the value `than`; NaN is not."""
        return value > than if self.higher_is_better else value < than

    def worse_of(self, first: float, second: float) -> float:
        """Returns the worse of two values, `first` and `second`."""
        return min(first, second) if self.higher_is_better else max(first, second)


def monitored(
    metric: str | None, mode: Literal["auto", "max", "min"], usual: Criterion, directions: Mapping[str, bool | None]
) -> Criterion:
    """Returns the criterion that ``trainer.monitor`` and ``trainer.monitor_mode`` ask for.

    Args:
        metric: ``trainer.monitor``, with or without ``val_``; None takes the task's own.
        mode: ``trainer.monitor_mode``.
        usual: The task's own criterion.
        directions: Every metric that the task logs of the validation split, and whether higher values of it are better;
            None where that is unknown.

    Raises:
        ValueError: if there is no such metric, or its direction is neither known nor given.
    """
    name = usual.metric if metric is None else metric.removeprefix("val_")
    if name not in directions:
        raise ValueError(
            f"trainer.monitor: neither the task nor log.metrics has the metric {name!r}"
            f"{suggest(name, list(directions))}"
        )
    higher = {"max": True, "min": False}.get(mode, directions[name])
    if higher is None:
        raise ValueError(f"trainer.monitor: {name} does not say whether higher is better; set trainer.monitor_mode")
    return Criterion(name, higher)


@dataclass(frozen=True)
class Selected:
    """Holds the selected epoch, ``best`` or ``last``, and the reason."""

    epoch: Literal["best", "last"]
    reason: str


def select(
    wish: Literal["auto", "best", "last"],
    best: float | None,
    last: float | None,
    choose: Callable[[float, float], Selected],
) -> Selected:
    """Chooses between the best epoch by validation and the last.

    Args:
        wish: ``trainer.select``.
        best: Best validation figure of all epochs; None without any validation.
        last: That of the last epoch that was validated.
        choose: Chooses by the two figures where the wish is ``auto``.
    """
    if best is None or last is None:
        return Selected("last", "no epoch was validated")
    if wish != "auto":
        return Selected(wish, f"trainer.select is {wish}")
    return choose(best, last)


def by_accuracy(best: float, last: float, images: int) -> Selected:
    """Chooses between the epoch of the best accuracy and the last.

    The highest of many accuracies on few images is mostly luck: with 24 images and 90 % accuracy, one standard error is
    6 points. With a schedule that ends near zero, the last epoch is then the natural choice; if training broke down,
    the drop is larger than chance, and the best epoch is selected.

    Args:
        best: Highest validation accuracy of all epochs in [0, 1].
        last: That of the last epoch.
        images: Number of validation images.
    """
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
