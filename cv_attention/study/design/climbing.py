"""Searches for the widths at which a network costs as much as another one."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import heapify, heapreplace
from itertools import islice
from typing import Any

_MOST_TIMES = 16.0  # of the widths that a network has
_TRIES = 16  # single channels that are tried at the end
_CLOSE = 1e-4


class Climb:
    """Widens layers of a network one channel at a time, always where it was widened least.

    Args:
        network: The network; it stays as it is.
        chains: What can be widened, as `backbones.widening.chains` finds it.
        ratio: Returns the cost of a network in units of what is wanted.
        start: Name of a layer -> its width at the start.
        full: Name of a layer -> the width that the steps are shares of.
    """

    def __init__(
        self,
        network: Any,
        chains: Sequence[Any],
        ratio: Callable[[Any], float],
        start: Mapping[str, int],
        full: Mapping[str, int],
    ) -> None:
        self._network, self._chains, self._ratio = network, {chain.first: chain for chain in chains}, ratio
        self.start, self._full = dict(start), dict(full)

    def network(self, widths: Mapping[str, int]) -> Any:
        """Returns a copy of the network with other widths."""
        from cv_attention.backbones.widening.widen import resize

        found = copy.deepcopy(self._network)
        for name, width in widths.items():
            resize(found, self._chains[name], width, kept=False)
        return found

    def ratio(self, widths: Mapping[str, int]) -> float:
        """Returns the cost at some widths, in units of what is wanted."""
        return self._ratio(self.network(widths))

    def climb(self, *, exact: bool, most: float = _MOST_TIMES) -> dict[str, int]:
        """Returns the largest widths in order whose cost is not above what is wanted.

        Args:
            exact: Whether costs are the same each time; single channels are then added as long as they fit.
            most: Largest widths, in units of `full`.
        """
        steps = list(self._steps(most))
        low, high = 0, len(steps)  # steps[:low] fits, steps[:high + 1] does not
        reach = 1
        while reach <= high and self.ratio(self._after(steps, reach)) <= 1:
            low, reach = reach, 2 * reach
        high = min(high, reach)
        while high - low > 1:
            middle = (low + high) // 2
            if self.ratio(self._after(steps, middle)) <= 1:
                low = middle
            else:
                high = middle
        if high > low and high == len(steps) and self.ratio(self._after(steps, high)) <= 1:
            low = high
        widths = self._after(steps, low)
        return self._filled(widths) if exact else widths

    def _steps(self, most: float) -> Iterator[str]:
        """Yields the layers in the order in which they get one more channel."""
        widths = dict(self.start)
        total = sum(int(most * full) for full in self._full.values()) - sum(widths.values())
        waiting = [
            ((width + 1) / self._full[name], number, name) for number, (name, width) in enumerate(widths.items())
        ]
        heapify(waiting)
        for _ in range(max(0, total)):
            _, number, name = waiting[0]
            widths[name] += 1
            heapreplace(waiting, ((widths[name] + 1) / self._full[name], number, name))
            yield name

    def _after(self, steps: Sequence[str], count: int) -> dict[str, int]:
        widths = dict(self.start)
        for name in islice(steps, count):
            widths[name] += 1
        return widths

    def _filled(self, widths: dict[str, int]) -> dict[str, int]:
        """Adds single channels that still fit, from the narrowest layers on."""
        names = sorted(widths, key=lambda name: self._full[name])
        left, gap = _TRIES, 1 - self.ratio(widths)
        for name in names:
            while left and gap > _CLOSE:
                left -= 1
                more = {**widths, name: widths[name] + 1}
                ratio = self.ratio(more)
                if ratio > 1:
                    break
                widths, gap = more, 1 - ratio
        return widths
