"""Follows the axes of a grid through views: which axis of a tensor holds the rows, the columns, or parts of both.

A tensor's axes are written as digits, the most significant first: a window partition divides the rows into two digits,
and a reverse brings them together again. `free` digits are those of channels, of the batch, and of positions within a
cell of the grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

Size = tuple[int, ...]


@dataclass(frozen=True)
class Digit:
    """A part of an axis.

    Attributes:
        size: How many values it takes.
        axis: The axis of the grid of which it is a digit; None is free.
        stride: How many positions it moves along that axis.
    """

    size: int
    axis: int | None = None
    stride: int = 0


@dataclass(frozen=True)
class Part:
    """An axis of which only a part is followed, as patches behind a class token.

    Attributes:
        size: The size of the whole axis.
        before: What comes before the part.
        digits: The part's digits.
    """

    size: int
    before: int
    digits: "Digits"

    @property
    def count(self) -> int:
        """The size of the part."""
        return _size(self.digits)


Digits = tuple[Digit | Part, ...]


@dataclass(frozen=True)
class Axes:
    """The digits of each axis of a tensor, and the size of the grid."""

    digits: tuple[Digits, ...]
    grid: Size

    @property
    def shape(self) -> Size:
        """The shape of the tensor."""
        return tuple(_size(axis) for axis in self.digits)

    def permuted(self, order: Sequence[int]) -> "Axes":
        """Returns the axes of the tensor of which this one is the permutation `order`."""
        before: list[Digits] = [()] * len(order)
        for axis, source in zip(self.digits, order, strict=True):
            before[source] = axis
        return Axes(tuple(before), self.grid)

    def with_axis(self, axis: int, digits: Digits) -> "Axes":
        """Returns these axes with others in one place."""
        return Axes((*self.digits[:axis], _joined(digits), *self.digits[axis + 1 :]), self.grid)

    def resized(self, shape: Size) -> "Axes | None":
        """Returns the axes of a tensor of which this one is a strided or padded form."""
        grid, digits = list(self.grid), list(self.digits)
        for number, (size, place) in enumerate(zip(shape, self.places(), strict=True)):
            if place is not None:
                grid[place], digits[number] = size, whole(place, size)
            elif self.is_free(number):
                digits[number] = free(size)
            elif size != self.shape[number]:
                return None
        return Axes(tuple(digits), tuple(grid))

    def is_free(self, axis: int) -> bool:
        """Returns whether an axis holds nothing of the grid."""
        return all(isinstance(digit, Digit) and digit.axis is None for digit in self.digits[axis])

    def viewed(self, shape: Size) -> "Axes | None":
        """Returns the axes in another shape, or None where a part would be divided."""
        left = [digit for axis in reversed(self.digits) for digit in reversed(axis)]
        found: list[Digits] = []
        for size in shape:
            axis: list[Digit | Part] = []
            if size == 1 and left and left[-1].size == 1:  # an axis of the grid with a single position
                axis.append(left.pop())
            while size > 1:
                if not left:
                    return None
                digit = left.pop()
                if size % digit.size == 0:
                    axis.append(digit)
                    size //= digit.size
                    continue
                if isinstance(digit, Part) or digit.size % size:
                    return None
                rest = digit.size // size
                axis.append(Digit(size, digit.axis, digit.stride * rest))
                left.append(Digit(rest, digit.axis, digit.stride))
                size = 1
            found.append(_joined(tuple(axis)))
        return Axes(tuple(found), self.grid) if not left else None

    def places(self) -> tuple[int | None, ...]:
        """Returns of each axis which axis of the grid it is, as a whole and in order, if it is one."""
        return tuple(self._place(digits) for digits in self.digits)

    def _place(self, digits: Digits) -> int | None:
        if not digits or not all(isinstance(digit, Digit) for digit in digits):
            return None
        own = [digit for digit in digits if isinstance(digit, Digit)]
        axis = own[0].axis
        if axis is None or own[0] != Digit(self.grid[axis], axis, 1):
            return None
        return axis if all(digit.axis is None for digit in own[1:]) else None


def free(size: int) -> Digits:
    """Returns an axis that holds nothing of the grid."""
    return (Digit(size),) if size > 1 else ()


def whole(axis: int, size: int) -> Digits:
    """Returns an axis of the grid."""
    return (Digit(size, axis, 1),)


def inside(digits: Digits, size: int, before: int) -> Part:
    """Returns an axis of which `digits` are a part."""
    if len(digits) == 1 and isinstance(digits[0], Part):
        return Part(size, before + digits[0].before, digits[0].digits)
    return Part(size, before, digits)


def _size(digits: Digits) -> int:
    return prod(digit.size for digit in digits)


def _joined(digits: Digits) -> Digits:
    """Puts digits together that follow each other."""
    found: list[Digit | Part] = []
    for digit in digits:
        last = found[-1] if found else None
        if isinstance(last, Digit) and isinstance(digit, Digit) and _follow(last, digit):
            found[-1] = Digit(last.size * digit.size, digit.axis, digit.stride)
        else:
            found.append(digit)
    return tuple(found)


def _follow(first: Digit, second: Digit) -> bool:
    return first.axis == second.axis and (first.axis is None or first.stride == second.stride * second.size)
