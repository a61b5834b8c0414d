"""Axes of the curves and scales of weights that stand side by side, called in Node; values by hand."""

import json

import pytest

from tests.report.node import call

# Elements that hold what they are given, as plain values.
DOCUMENT = """
globalThis.location = { hash: "" };
globalThis.document = {
  createElementNS: (space, name) => ({
    name, children: [],
    setAttribute(key, value) { this[key] = value; },
    append(child) { this.children.push(child); },
  }),
};
"""


def axes(xs, width, words, ys=(0.0, 1.0)):
    """The texts below a plot, of its ticks and of the axis itself."""
    drawn = f"drawAxes(makeScales({width}, 200, {list(xs)}, {list(ys)}), String, {json.dumps(words)})"
    shown = call(drawn, "drawing/plot.js", before=DOCUMENT)
    below = [one for one in shown if one["name"] == "text"]
    return [(one["children"][0], one["class"], float(one["x"])) for one in below]


@pytest.mark.parametrize(("words", "expected"), [
    ("epochs", ["0", "1", "2", "3"]), ("epochs (training time)", ["0", "1", "2", "3"]),
    ("steps", ["0", "0.5", "1", "1.5", "2", "2.5", "3"]), ("hours", ["0", "0.5", "1", "1.5", "2", "2.5", "3"]),
])  # fmt: skip
def test_between_two_epochs_is_no_tick(words, expected):
    *ticks, axis = axes((0, 3), 480, words)
    assert [text for text, _, _ in ticks] == expected
    assert {kind for _, kind, _ in ticks} == {"tick"}
    assert axis[:2] == (words, "axis")


def test_ticks_lie_where_their_values_are():
    *ticks, _ = axes((0, 3), 362, "epochs")  # 50 pixels to the left of 0, 12 to the right of 3
    assert [place for _, _, place in ticks] == pytest.approx([50, 150, 250, 350])


def layers(scale, maps, everything):
    listed = ", ".join(f"{{ values: {values}, width: {len(values)}, height: 1 }}" for values in maps)
    choose = f"(Object.assign(state, {{ scale: '{scale}' }}), weightLayers([{listed}], {everything}))"
    return call(choose, "drawing/layers.js", "core/state.js", before="globalThis.location = { hash: '' };")


@pytest.mark.parametrize(("scale", "expected"), [
    ("image", [0.1, 0.6]), ("natural", [0, 1]), ("column", [0, 1.2]), ("run", [0, 1.2]), ("global", [0, 1.2]),
])  # fmt: skip
def test_weights_side_by_side_have_one_scale(scale, expected):
    """Of the maps shown or of all images; from 0 at least to twice the uniform weight, which is 1 of two positions."""
    found = layers(scale, [[0.4, 0.6], [0.1, 0.3, 0.3, 0.3]], [0.0, 1.2])
    assert [one["range"] for one in found] == [pytest.approx(expected)] * 2
    assert [one["uniform"] for one in found] == [0.5, 0.25]
    assert not any(one["signed"] for one in found)


def test_a_shared_scale_reaches_to_the_largest_weight_of_all_images():
    maps = [[0.1, 0.3, 0.3, 0.3]]
    assert layers("column", maps, [0.0, 0.9])[0]["range"] == pytest.approx([0, 0.9])
    assert layers("natural", maps, [0.0, 0.9])[0]["range"] == pytest.approx([0, 0.5])
    assert layers("column", [], [0.0, 0.9]) == []
