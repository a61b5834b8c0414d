"""Says which of two saliency methods is better on a measure, as far as the images tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from cv_attention.statistics import Interval, bootstrap

# The measure that a recommendation follows unless another is asked for: the first of these that was computed.
CRITERIA = ("road", "insertion_auc", "deletion_auc", "average_drop", "infidelity", "arcc", "selectivity")


@dataclass(frozen=True)
class Verdict:
    """Compares the two best methods on a measure, image by image.

    Attributes:
        measure: The measure.
        best: The method with the best mean.
        second: The one with the second best.
        gain: By how much `best` is better, mean of the images' differences with its paired bootstrap interval.
        images: Number of images.

    Examples:
        >>> from cv_attention.judging import Verdict
        >>> from cv_attention.statistics import Interval
        >>> verdict = Verdict("road", "grad_cam", "gradient", Interval(0.10, 0.04, 0.15), images=64)
        >>> verdict.resolved
        True
        >>> print(verdict)
        road: grad_cam is better than gradient by at least 0.040 (0.100 [0.040, 0.150], 64 images)
    """

    measure: str
    best: str
    second: str
    gain: Interval
    images: int

    @property
    def resolved(self) -> bool:
        """Whether the interval of the difference is above 0."""
        return self.gain.low > 0

    def __str__(self) -> str:
        shown = f"({self.gain}, {self.images} images)"
        if self.resolved:
            return f"{self.measure}: {self.best} is better than {self.second} by at least {self.gain.low:.3f} {shown}"
        return f"{self.measure}: unresolved between {self.best} and {self.second} {shown}"


def compare(
    measure: str, values: Mapping[str, ArrayLike], good: Literal["high", "low"], *, seed: int = 0
) -> Verdict | None:
    """Compares the two methods with the best means by the differences of each image, with a paired bootstrap interval.

    Args:
        measure: Name of the measure, for the verdict.
        values: Method -> a value for each image, the same images in the same order.
        good: Whether good values are ``high`` or ``low``.
        seed: Seed of the bootstrap.

    Returns:
        The verdict; None if fewer than two methods have values of all images.

    Examples:
        >>> from cv_attention.judging.recommendation import compare
        >>> found = compare("road", {"a": [0.4, 0.6, 0.5], "b": [0.1, 0.3, 0.2], "c": [0.0, 0.1, 0.1]}, "high")
        >>> found.best, found.second, round(found.gain.mean, 3), found.resolved
        ('a', 'b', 0.3, True)
    """
    sign = 1.0 if good == "high" else -1.0
    arrays = {name: sign * np.asarray(one, dtype=float) for name, one in values.items()}
    most = max((len(one) for one in arrays.values()), default=0)
    whole = {name: one for name, one in arrays.items() if len(one) == most and most}
    if len(whole) < 2:
        return None
    best, second = sorted(whole, key=lambda name: -whole[name].mean())[:2]
    return Verdict(measure, best, second, bootstrap(whole[best] - whole[second], seed=seed), most)


def recommendation(verdicts: Sequence[Verdict]) -> str:
    """Writes one sentence on which method to use, by the first of `CRITERIA` that there is a verdict on.

    Args:
        verdicts: Verdicts on any measures.

    Examples:
        >>> from cv_attention.judging import Verdict
        >>> from cv_attention.judging.recommendation import recommendation
        >>> from cv_attention.statistics import Interval
        >>> verdicts = [Verdict("road", "grad_cam", "gradient", Interval(0.01, -0.02, 0.04), images=64)]
        >>> print(recommendation(verdicts))
        Recommendation by road: unresolved between grad_cam and gradient (0.010 [-0.020, 0.040], 64 images).
    """
    named = {verdict.measure: verdict for verdict in verdicts}
    chosen = next((named[name] for name in CRITERIA if name in named), verdicts[0] if verdicts else None)
    if chosen is None:
        return ""
    said = str(chosen).partition(": ")[2]
    others = [v for v in verdicts if v.best != chosen.best and v.resolved and v.measure in CRITERIA]
    doubt = f" Others say otherwise: {', '.join(f'{v.best} by {v.measure}' for v in others)}." if others else ""
    return f"Recommendation by {chosen.measure}: {said}.{doubt}"
