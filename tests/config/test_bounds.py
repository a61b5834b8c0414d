"""The bounds next to the fields of the configuration: that they are there, and what they accept."""

import math
from dataclasses import replace

import pytest

from cv_attention.config import Data, Experiment, Optimizer, SaliencyExport, Trainer
from cv_attention.config.bounds import check_bounds, contains, intervals
from cv_attention.config.checking import check, check_statistics

# interval -> numbers in it, numbers outside of it
ENDS = {
    "[0, 1)": ([0, 0.5], [-1e-9, 1, math.nan]),
    "(0, 1]": ([1e-9, 1], [0, 1.01, math.inf]),
    "[8, 16]": ([8, 16], [7, 17]),
    "(0, inf)": ([1e-300, 1e300], [0, -1, math.inf, math.nan]),
}


@pytest.mark.parametrize(("interval", "accepted", "refused"), [(name, *case) for name, case in ENDS.items()])
def test_a_round_bracket_excludes_its_end(interval, accepted, refused):
    assert [contains(interval, value) for value in accepted] == [True] * len(accepted)
    assert [contains(interval, value) for value in refused] == [False] * len(refused)


def numbers(tree, prefix=""):
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from numbers(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{name}", value


def test_the_defaults_lie_within_their_bounds():
    check(Experiment())
    check_bounds(SaliencyExport())


def test_every_number_of_the_configuration_has_bounds():
    bounded = dict(intervals(Experiment))
    assert {name for name, _ in numbers(Experiment().to_dict())} - bounded.keys() == {"data.digits.canvas"}
    # fields whose default is null or text
    for name in ("data.cache", "data.bits", "data.subset.fraction", "optimizer.ema", "trainer.devices"):
        assert name in bounded
    assert bounded["optimizer.label_smoothing"] == "[0, 1)"


@pytest.mark.parametrize(
    ("part", "prefix", "message"),
    [
        (Data(batch_size=0), "data.", r"^data.batch_size must be at least 1, got 0$"),
        (Data(workers=1025), "data.", r"^data.workers must be in \[0, 1024\], got 1025$"),
        (Optimizer(ema=0.0), "optimizer.", r"^optimizer.ema must be in \(0, 1\) or null, got 0.0$"),
        (Optimizer(lr=None), "", r"^lr must not be null$"),  # pyright: ignore[reportArgumentType]
        (Experiment(trainer=Trainer(devices=0)), "", r"^trainer.devices must be at least 1, got 0$"),
        (SaliencyExport(shard_size=0), "", r"^shard_size must be at least 1, got 0$"),
        (SaliencyExport(devices=0), "", r"^devices must be at least 1, got 0$"),
    ],
)
def test_a_value_out_of_its_bounds_is_named_with_what_is_accepted(part, prefix, message):
    with pytest.raises(ValueError, match=message):
        check_bounds(part, prefix)


def test_null_and_text_are_not_compared_with_bounds():
    check_bounds(replace(Experiment(), trainer=Trainer(devices="auto"), optimizer=Optimizer(ema=None)))


@pytest.mark.parametrize(("mean", "std"), [([0.5, 0.5], None), ([0.5, 0.5, 1.01], None), (None, [0.5, 0.0, 0.5])])
def test_statistics_are_three_numbers_within_bounds(mean, std):
    check_statistics([0.0, 0.5, 1.0], [0.1, 0.5, 1.0])
    with pytest.raises(ValueError, match=r"^data.(mean|std) must hold three numbers"):
        check_statistics(mean, std)
