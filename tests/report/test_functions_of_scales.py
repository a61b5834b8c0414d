"""Scales and curves of the page, called in Node and compared with NumPy, or with numbers calculated by hand."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.report.node import call, call_each

HERE = "globalThis.location = { hash: '' };"
SCALES = ("drawing/scales.js", "core/state.js")


def ranging(column: dict[str, Any], values: np.ndarray, choices: dict[str, Any], **epoch: Any) -> str:
    """Returns a script for the range of a map (h, w) of column 0 in a run of one epoch."""
    run = {"epochs": [{"ranges": {"0": [float(values.min()), float(values.max())]}, **epoch}], "columns": [column]}
    about = {"index": 0, "bars": False, "signed": False, "weights": False, "source": "attention", **column}
    numbers = {"lo": float(values.min()), "hi": float(values.max()), "height": len(values), "width": values.shape[1]}
    made = f"{{ ...{json.dumps(numbers)}, values: Float64Array.from({values.ravel().tolist()}) }}"
    return f"""(() => {{
        Object.assign(state, {json.dumps(choices)});
        const run = {json.dumps(run)};
        return valueRange(run, run.epochs[0], {json.dumps(about)}, {made});
    }})()"""


WIDE = np.random.default_rng(0).normal(size=(7, 9))
HALF = np.array([[0.2, 0.9]])


def two(low: float, high: float) -> np.ndarray:
    return np.array([[low, high], [low, low]])


def by_percentiles(percent: float) -> tuple[np.ndarray, float]:
    return np.percentile(WIDE, [percent, 100 - percent]), float(np.percentile(np.abs(WIDE), 100 - percent))


RANGES = [
    # natural scales: gates by their function, saliency from zero, signed maps around it
    (ranging({}, two(0.484, 0.488), {"scale": "natural"}), [0, 1]),
    (ranging({}, two(0.2, 1.6), {"scale": "natural"}), [0, 2]),
    (ranging({}, two(0.2, 7.5), {"scale": "natural"}), [0, 7.5]),
    (ranging({"signed": True}, two(-0.25, 0.5), {"scale": "natural"}), [-1, 1]),
    (ranging({"source": "saliency"}, two(0.3, 7.5), {"scale": "natural"}), [0, 7.5]),
    (ranging({"source": "saliency", "signed": True}, two(-0.25, 0.125), {"scale": "natural"}), [-0.25, 0.25]),
    # weights that sum to one: from zero to twice the uniform one, or to the largest
    (ranging({"weights": True}, np.array([[0.2, 0.3], [0.26, 0.24]]), {"scale": "natural"}), [0, 0.5]),
    (ranging({"weights": True}, np.array([[0.7, 0.1], [0.1, 0.1]]), {"scale": "natural"}), [0, 0.7]),
    # percentiles: of an image as numpy's, of a column as recorded
    *((ranging({}, WIDE, {"scale": "image", "clip": str(cut)}), by_percentiles(cut)[0]) for cut in (1, 2, 5)),
    *(
        (
            ranging({"signed": True}, WIDE, {"scale": "image", "clip": str(cut)}),
            np.array([-1, 1]) * by_percentiles(cut)[1],
        )
        for cut in (1, 2, 5)
    ),
    (ranging({}, two(0, 1), {"scale": "column", "clip": "2"}, clips={"0": {"2": [0.125, 0.5]}}), [0.125, 0.5]),
    (ranging({}, two(0, 1), {"scale": "column", "clip": "0"}, clips={"0": {"2": [0.125, 0.5]}}), [0, 1]),
    # limits by hand hold whatever the map, in either order; zero stays in the middle of signed ones
    (ranging({}, HALF, {"scale": "manual", "low": 0.6, "high": 0.1}), [0.1, 0.6]),
    (ranging({"signed": True}, HALF, {"scale": "manual", "low": -0.1, "high": 0.4}), [-0.4, 0.4]),
]


def test_ranges_of_all_scales() -> None:
    found = call_each([script for script, _ in RANGES], *SCALES, before=HERE)
    for number, (ends, (_, expected)) in enumerate(zip(found, RANGES, strict=True)):
        assert ends == pytest.approx(expected), number


def test_quantiles_of_finite_values_are_numpys() -> None:
    lists = [[3.0], [1, 2], [4, np.nan, 1, 2, np.inf], list(range(100))]
    cases = [(values, fraction) for values in lists for fraction in (0, 0.01, 0.5, 0.95, 1)]
    plain = {"nan": "NaN", "inf": "Infinity"}
    given = [
        f"quantile(Float64Array.from([{', '.join(plain.get(str(v), str(v)) for v in values)}]), {fraction})"
        for values, fraction in cases
    ]
    expected = [np.quantile(np.array(values)[np.isfinite(values)], fraction) for values, fraction in cases]
    assert call_each(given, *SCALES, before=HERE) == pytest.approx(expected)


FLAT = [
    ({"source": "attention"}, 0.484, 0.488, True),
    ({"source": "attention"}, 0.4, 0.5, False),
    ({"source": "attention", "weights": True}, 0.24, 0.26, True),
    ({"source": "attention", "weights": True}, 0.2, 0.3, False),
    ({"source": "saliency"}, 0.0, 1e-6, False),  # small, but nothing else
    ({"source": "saliency"}, 5.0, 5.001, True),
]


def test_maps_that_hardly_vary_are_called_nearly_constant() -> None:
    scripts = []
    for column, low, high, _ in FLAT:
        run = f"{{ epochs: [{{ ranges: {{ 0: [{low}, {high}] }} }}] }}"
        about = json.dumps({"index": 0, "weights": False, **column})
        scripts.append(f"isNearlyConstant({run}, {about}, {{ lo: {low}, hi: {high}, values: [{low}, {high}] }})")
    assert call_each(scripts, *SCALES, before=HERE) == [flat for *_, flat in FLAT]


ENDS = [
    (0, 1, ["0", "1"]), (0.0047, 0.0054, ["0.0047", "0.0054"]), (0.484, 0.488, ["0.484", "0.488"]),
    (-0.5, 0.5, ["−0.5", "0.5"]), (0, 0.99219, ["0", "0.992"]), (0.123456, 0.123457, ["0.123456", "0.123457"]),
    (0, 3e-12, ["0", "3.0e−12"]), (0, 0, ["0", "0"]), (7, 7, ["7", "7"]), (0, 2.5e7, ["0", "2.5e7"]),
    (1234.5, 1234.75, ["1234.5", "1234.75"]), (1e6, 1e6 + 1, ["1.0000000e6", "1.0000010e6"]),
]  # fmt: skip


def test_ends_have_as_many_digits_as_tell_them_apart() -> None:
    assert call_each([f"formatEnds({low}, {high})" for low, high, _ in ENDS], "core/format.js") == [s for *_, s in ENDS]


SELECTIONS = [
    ("0-2,7", [0, 1, 2, 7], "0-2,7"), ("3", [3], "3"), ("5,3,4,9", [3, 4, 5, 9], "3-5,9"), ("", [], ""),
    ("x,-1,2-,1-", [], ""), ("4-2", [], ""), ("0-2999", list(range(3000)), "0-2999"),
]  # fmt: skip


def test_selections_are_short_in_the_address() -> None:
    read = call_each([f"aSelection().read({json.dumps(text)})" for text, *_ in SELECTIONS], "core/fields.js")
    assert read == [indices for _, indices, _ in SELECTIONS]
    written = call_each([f"aSelection().write({indices})" for _, indices, _ in SELECTIONS], "core/fields.js")
    assert written == [again for *_, again in SELECTIONS]


def test_smoothing_is_the_bias_corrected_moving_average() -> None:
    values = np.random.default_rng(0).normal(size=20).tolist()
    points = [[i, i, i, value] for i, value in enumerate(values)]
    found = call(f"smoothed({points}, 0.9).map((point) => point[3])", "drawing/series.js")
    assert found == pytest.approx(pd.Series(values).ewm(alpha=0.1, adjust=True).mean().to_numpy())
    assert call(f"smoothed({points}, 0)", "drawing/series.js") == points


def test_mean_and_band_over_seeds() -> None:
    rng = np.random.default_rng(0)
    steps = [np.array([1.0, 2, 3, 4]), np.array([0.5, 2.5, 4.5]), np.array([2.0, 3, 4])]
    values = [rng.normal(size=len(x)) for x in steps]
    curves = [[[x, x, x, y] for x, y in zip(*pair, strict=True)] for pair in zip(steps, values, strict=True)]
    found = call(f"meanCurve({json.dumps(curves)})", "drawing/series.js")
    common = [2.0, 3.0, 4.0]  # where all three have values
    every = np.array([np.interp(common, *pair) for pair in zip(steps, values, strict=True)])
    assert [point[0] for point in found["points"]] == common
    assert [point[3] for point in found["points"]] == pytest.approx(every.mean(0))
    assert [high for _, _, high in found["band"]] == pytest.approx(every.mean(0) + every.std(0, ddof=1))
    assert [low for _, low, _ in found["band"]] == pytest.approx(every.mean(0) - every.std(0, ddof=1))
    assert call(f"interpolated({json.dumps(curves[0])}, 4.5)", "drawing/series.js") is None


NAMES = [
    (["cbam-seed0", "cbam-seed1"], "cbam"),
    (["a-10", "a-11"], "a"),
    (["x", "y"], "x"),
    (["run_1", "run_12"], "run"),
]


def test_repetitions_are_named_by_what_their_names_share() -> None:
    found = call_each([f"commonName({names})" for names, _ in NAMES], "drawing/series.js")
    assert found == [common for _, common in NAMES]


def test_ticks_of_a_logarithmic_axis() -> None:
    found = call("[logTicks(0.3, 30), logTicks(1e-5, 2), logTicks(1, 4)]", "drawing/plot.js", before=HERE)
    assert found == [[0.5, 1, 2, 5, 10, 20], pytest.approx([1e-5, 1e-4, 1e-3, 0.01, 0.1, 1]), [1, 2]]


def test_errors_alone_are_scaled_to_the_most_frequent_one() -> None:
    content = "{ classes: 2, counts: [[0, 0, 97], [0, 1, 3], [1, 1, 50]] }"
    shares = f"confusionShares({content}, [100, 50], %s)"
    plain = "(({ map, range }) => [Array.from(map.values), range])"
    found, ends = call(plain + "(" + shares % "true" + ")", "panels/confusion_matrix.js", before=HERE)
    assert found == [None, pytest.approx(0.03), 0, None]
    assert ends == [0, pytest.approx(0.03)]
    found, ends = call(plain + "(" + shares % "false" + ")", "panels/confusion_matrix.js", before=HERE)
    assert found == pytest.approx([0.97, 0.03, 0, 1])
    assert ends == [0, 1]
