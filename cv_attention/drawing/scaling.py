"""Scales the values of heatmaps to [0, 1]: by their range, by percentiles, or by limits; around zero where signed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_FLAT = 1e-6  # of the largest magnitude: a smaller range is rounding


@dataclass(frozen=True)
class Limits:
    """The values at both ends of a colour bar.

    Attributes:
        low: What gets the lowest colour.
        high: What gets the highest colour.
        signed: Whether zero is in the middle: then `low` is -`high`.

    Examples:
        >>> from cv_attention.drawing import Limits
        >>> Limits(-2.0, 2.0, signed=True).ends()
        ('-2.00', '2.00')
        >>> Limits(0.0047, 0.0054, signed=False).ends()
        ('0.00470', '0.00540')
    """

    low: float
    high: float
    signed: bool

    @property
    def flat(self) -> bool:
        """Whether both ends are the same number but for rounding: there is nothing to tell apart."""
        return self.high - self.low <= _FLAT * max(abs(self.low), abs(self.high))

    def ends(self, digits: int = 3) -> tuple[str, str]:
        """Writes both ends with `digits` significant digits, or more until they differ."""
        low, high = _brief(self.low, digits), _brief(self.high, digits)
        while low == high and not self.flat and digits < 9:
            digits += 1
            low, high = _brief(self.low, digits), _brief(self.high, digits)
        return low, high


def limits_of(
    heats: ArrayLike | Iterable[ArrayLike],
    *,
    signed: bool | None = None,
    clip: float = 100,
    low: float | None = None,
    high: float | None = None,
) -> Limits:
    """Chooses the scale of a heatmap, or one scale for several.

    Args:
        heats: Raw values of any shape, or a list of such arrays.
        signed: Whether zero is in the middle of the scale; None takes it from the values: heatmaps with negative
            values are signed, unless `low` is zero or more.
        clip: Share of the values that lie within the scale, in percent; the largest of the rest are clipped. Below
            100, single outliers, as in gradients, do not make everything else dark. Of signed heatmaps the largest
            magnitudes are clipped.
        low: Value that gets the lowest colour; None takes the smallest.
        high: Value that gets the highest colour; None takes the largest. Of signed heatmaps, the larger magnitude of
            `low` and `high` holds for both signs, so that zero keeps its colour.

    Returns:
        The scale. Values that are not finite are left out.

    Raises:
        ValueError: if `clip` is not in (0, 100], or `low` is above `high`.

    Examples:
        >>> from cv_attention.drawing import limits_of
        >>> limits_of([[0.0, 0.5, 2.0]])
        Limits(low=0.0, high=2.0, signed=False)
        >>> limits_of([[-1.0, 0.2]])
        Limits(low=-1.0, high=1.0, signed=True)
        >>> limits_of([[-1.0, 0.2]], low=0, high=1)
        Limits(low=0.0, high=1.0, signed=False)
    """
    if not 0 < clip <= 100:
        raise ValueError(f"clip must be a percentage in (0, 100], got {clip}")
    for name, given in {"low": low, "high": high}.items():
        if given is not None and not np.isfinite(given):
            raise ValueError(f"{name} must be finite, got {given}")
    if low is not None and high is not None and low > high:
        raise ValueError(f"low must not be above high, got {low} and {high}")
    values = _finite(heats)
    if signed is None:
        signed = low < 0 if low is not None else bool(values.size and values.min() < 0)
    if signed:
        given = [abs(float(end)) for end in (low, high) if end is not None]
        most = max(given) if given else _largest(np.abs(values), clip)
        return Limits(-most, most, True)
    bottom = float(low) if low is not None else (float(values.min()) if values.size else 0.0)
    top = float(high) if high is not None else max(_largest(values, clip), bottom)
    return Limits(min(bottom, top), top, False)


def normalise(
    heat: ArrayLike,
    low: float | None = None,
    high: float | None = None,
    *,
    signed: bool | None = False,
    clip: float = 100,
) -> NDArray[np.float32]:
    """Scales heatmaps from their range to [0, 1], each by itself.

    The range is the map's own minimum and maximum among its finite values, whatever their sign: the lowest value
    becomes 0, the highest 1. NaN and -inf become 0, inf 1. A map that is constant (a range below one millionth of its
    largest magnitude, which is rounding) has nothing to show and becomes 0 everywhere. With `signed`, zero becomes 0.5
    and the largest magnitude 0 or 1; NaN becomes 0.5.

    Args:
        heat: (..., h, w) raw values.
        low: What becomes 0, to share one scale among several maps; lower values are clipped.
        high: What becomes 1; higher values are clipped.
        signed: Whether zero becomes 0.5; None decides for each map by its values, see `limits_of`.
        clip: Share of the values within the scale, in percent; see `limits_of`.

    Returns:
        (..., h, w) float32.

    Raises:
        ValueError: if `heat` is not (..., h, w), or see `limits_of`.

    Examples:
        >>> from cv_attention.drawing import normalise
        >>> normalise([[1.0, 3.0, 2.0]])
        array([[0. , 1. , 0.5]], dtype=float32)
        >>> normalise([[-1.0, 0.0, 0.5]], signed=True)
        array([[0.  , 0.5 , 0.75]], dtype=float32)
    """
    values = np.asarray(heat, np.float32)
    if values.ndim < 2 or values.size == 0:
        raise ValueError(f"heat must be (..., h, w), got shape {values.shape}")
    scaled = np.empty((values[..., 0, 0].size, *values.shape[-2:]), np.float32)
    for place, one in enumerate(values.reshape(scaled.shape)):
        limits = limits_of(one, signed=signed, clip=clip, low=low, high=high)
        scaled[place] = np.nan_to_num(positions(np.asarray(one), limits), nan=0.5 if limits.signed else 0)
    return scaled.reshape(values.shape)


def positions(values: NDArray[np.float32], limits: Limits) -> NDArray[np.float32]:
    """Returns where values lie on a colour bar, in [0, 1] as float32; NaN stays NaN.

    Args:
        values: Raw values of any shape.
        limits: The ends of the bar.

    Returns:
        0 at its lower end, 1 at the upper one and beyond; for a flat bar 0, or 0.5 if it is signed.

    Examples:
        >>> import numpy as np
        >>> from cv_attention.drawing import Limits, positions
        >>> positions(np.float32([1, 2, 9]), Limits(0.0, 4.0, signed=False))
        array([0.25, 0.5 , 1.  ], dtype=float32)
    """
    if limits.flat:
        return np.where(np.isnan(values), np.float32(np.nan), np.float32(0.5 if limits.signed else 0))
    clipped = np.clip(values.astype(np.float64), limits.low, limits.high)  # differences of float32 limits may overflow
    return ((clipped - limits.low) / (limits.high - limits.low)).astype(np.float32)


def _finite(heats: Any) -> NDArray[np.float64]:
    """All finite values, in one row."""
    parts = heats if isinstance(heats, list | tuple) else [heats]
    try:
        arrays = [np.asarray(part, np.float64).ravel() for part in parts]
    except ValueError as error:
        raise ValueError(f"heatmaps must be arrays of numbers: {error}") from error
    values = np.concatenate(arrays) if arrays else np.empty(0)
    return values[np.isfinite(values)]


def _largest(values: NDArray[np.float64], clip: float) -> float:
    if not values.size:
        return 0.0
    return float(values.max() if clip == 100 else np.percentile(values, clip))


def _brief(value: float, digits: int) -> str:
    """Writes a number with so many significant digits; very large and very small ones with an exponent."""
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}".replace("e-0", "e-").replace("e+0", "e")
    whole = f"{abs(value):.{digits - 1}e}"  # rounded first: 0.9996 has as many digits as 1.00
    return f"{value:.{max(digits - 1 - int(whole.partition('e')[2]), 0)}f}"
