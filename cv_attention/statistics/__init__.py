"""Statistics of networks trained with several seeds: simultaneous intervals, verdicts and seeds to plan; bootstrap.

An arm is a network; a block is a factor shared by runs of all arms, such as a seed. Nothing here needs
torch or knows what a run is. `judge` is where to begin.
"""

from cv_attention.statistics.additive import AdditiveFit, fit_additive
from cv_attention.statistics.interactions import interaction
from cv_attention.statistics.intervals import Interval, bootstrap, student, wilson
from cv_attention.statistics.planning import detectable, seeds_needed
from cv_attention.statistics.verdicts import Judged, Study, judge

__all__ = [
    "AdditiveFit", "Interval", "Judged", "Study", "bootstrap", "detectable", "fit_additive", "interaction", "judge",
    "seeds_needed", "student", "wilson",
]  # fmt: skip
