"""Texts, names and axes of the page, by its functions called in Node."""

import json

import numpy as np
import pytest

from cv_attention.report import naming
from cv_attention.report.naming import column_name, column_names
from cv_attention.saliency import METHODS
from tests.report.node import call

BEFORE = "globalThis.location = { hash: '' }; globalThis.document = {};"


@pytest.mark.parametrize(
    ("function", "texts"),
    [
        ("formatValue", {
            "null": "–", "undefined": "–", "NaN": "–", "Infinity": "∞", "-Infinity": "−∞", "0": "0", "0.5": "0.5",
            "0.12345": "0.123", "-0.5": "−0.5", "9.8765": "9.877", "12.345": "12.35", "123.45": "123.5",
            "99999": "99999", "100000": "1.0e+5", "0.001": "0.001", "0.00099": "9.9e−4", "-2e-7": "−2.0e−7",
        }),
        ("formatCount", {
            "null": "–", "0": "0", "999": "999", "1000": "1 k", "1234": "1.23 k", "5235008": "5.24 M",
            "4.1e9": "4.1 G", "2e12": "2 T",
        }),
        ("formatPercent", {"null": "–", "undefined": "–", "0": "0 %", "1": "100 %", "0.126": "13 %"}),
        ("epochName", {"-1": "before training", "0": "epoch 1", "11": "epoch 12"}),
        ("metricName", {"'val_loss'": "Val loss", "'train/acc_top5'": "Train acc top5"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_numbers_as_texts(function, texts):
    found = call(f"[{', '.join(texts)}].map((value) => {function}(value))", "core/format.js")
    assert dict(zip(texts, found, strict=True)) == texts


def test_maps_are_called_alike_by_the_page_and_by_figures():
    titles = [
        *METHODS,
        "layer1.0.bn2.attention.map",
        "layer1.attention.spatial.map",
        "map",
        ".map",
        "mine",
        "constructor",
    ]
    columns = [{"title": title, "kind": "spatial"} for title in titles]
    found = call(f"{json.dumps(columns)}.map(columnName)", "core/format.js", before=BEFORE)
    assert found == [column_name(title) for title in titles]
    assert found[: len(METHODS)] == [naming.METHODS[name] for name in METHODS]
    alike = ["grad_cam", "a.map", "a.attention.map", "b.map"]
    assert list(column_names(alike).values()) == ["Grad-CAM", "a.map", "a.attention.map", "b"]  # none is lost
    assert found[-6:] == ["layer1.0.bn2", "layer1.attention.spatial", "map", ".map", "mine", "constructor"]


@pytest.mark.parametrize(
    ("name", "value", "share"),
    [
        ("accuracy", 0.5, True), ("val_acc", 1, True), ("pointing", 0, True), ("accuracy_top5", 0.9, True),
        ("loss", 0.5, False), ("accuracy", 97.5, False), ("pointing", -0.1, False), ("f1", 0.5, False),
    ],
)  # fmt: skip
def test_shares_are_shown_in_percent(name, value, share):
    assert call(f"isShare({name!r}, {value})", "core/format.js") == share


def test_names_of_columns_and_their_kinds():
    columns = [
        {"title": title, "kind": kind}
        for title, kind in [
            ("layer1.0.bn2.attention.map", "channel"), ("attention.spatial.map", "spatial"), (".map", "joint"),
            ("Grad-CAM", "grad_cam"), ("map", "pairwise"),
        ]
    ]  # fmt: skip
    both = f"{json.dumps(columns)}.map((column) => [columnName(column), kindName(column)])"
    assert call(both, "core/format.js") == [
        ["layer1.0.bn2", "channel"], ["attention.spatial", ""], [".map", "joint"], ["Grad-CAM", ""], ["map", "pairwise"]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("probes", "keys"),
    [
        ([("a.png", 0), ("b.png", 1)], ["a.png", "b.png"]),
        ([("a.png", 0), ("a.png", 1)], ["ant/a.png", "bee/a.png"]),
        ([("a.png", 0), ("a.png", 0), ("c.png", 0)], ["ant/a.png (1)", "ant/a.png (2)", "c.png"]),
        ([("a.png", None), ("a.png", 1)], ["unknown/a.png", "bee/a.png"]),
        ([(None, 0), (None, 1)], ["0", "1"]),
    ],
)
def test_every_sample_has_a_key_of_its_own(probes, keys):
    listed = [{"label": label} | ({} if name is None else {"name": name}) for name, label in probes]
    run = f"{{ classes: ['ant', 'bee'], probes: {json.dumps(listed)} }}"
    assert call(f"sampleKeys({run})", "samples/names.js") == keys


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("", []), ("#", []), ("blurred", ["blurred"]), ("#blurred, ask-anna", ["blurred", "ask-anna"]),
        (" a  b,a,,##b ", ["a", "b"]),
    ],
)  # fmt: skip
def test_tags_are_words_without_repetition(text, tags):
    assert call(f"splitTags({json.dumps(text)})", "samples/notes.js", before=BEFORE) == tags


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0, 10), (-3, 7), (0.12, 0.13), (1e-5, 9e-5), (0, 1e6), (-2, -1), (0.98, 1.02)]
)
def test_ticks_are_round_evenly_spaced_and_within_the_axis(low, high):
    ticks = np.array(call(f"roundTicks({low}, {high}, 6)", "drawing/plot.js"))
    steps = np.diff(ticks)
    assert 3 <= len(ticks) <= 7
    assert ticks[0] >= low - 1e-9 * (high - low)
    assert ticks[-1] <= high + 1e-9 * (high - low)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-6)
    assert ticks[0] - low < steps[0]
    assert high - ticks[-1] < steps[0]
    mantissa = steps[0] / 10 ** np.floor(np.log10(steps[0]) + 1e-9)
    assert min(abs(mantissa - round_one) for round_one in (1, 2, 5, 10)) < 1e-6
    np.testing.assert_allclose(ticks / steps[0], np.round(ticks / steps[0]), atol=1e-6)


def test_pixels_of_a_plot_and_back():
    scales = "makeScales(462, 244, [0, 20], [-1, 3])"  # 400 x 200 pixels within the margins
    assert call(f"[0, 10, 20].map({scales}.x)", "drawing/plot.js") == [50, 250, 450]
    assert call(f"[-1, 1, 3].map({scales}.y)", "drawing/plot.js") == [208, 108, 8]
    assert call(f"[0, 50, 250, 450, 900].map({scales}.epochAt)", "drawing/plot.js") == [0, 0, 10, 20, 20]


@pytest.mark.parametrize(
    ("values", "bounds"),
    [
        ([0, 1], [0, 1.06]), ([2, 4], [1.88, 4.12]), ([-1, 1], [-1.12, 1.12]), ([5], [4.5, 5.5]), ([0], [0, 1]),
        ([0.01, 1], [0, 1.0594]),
    ],
)  # fmt: skip
def test_bounds_of_an_axis_leave_room_but_none_below_zero(values, bounds):
    lines = json.dumps([{"points": [[at, at, at, value] for at, value in enumerate(values)]}])
    assert call(f"valueBounds({lines})", "drawing/plot.js") == pytest.approx(bounds)


@pytest.mark.parametrize("name", ["viridis", "inferno", "magma", "cividis"])
def test_colour_tables_are_those_of_matplotlib(name):
    matplotlib = pytest.importorskip("matplotlib")
    table = np.array(call(f"Array.from(colourTable({name!r}))", "drawing/colours.js", before=BEFORE)).reshape(256, 3)
    expected = np.round(255 * matplotlib.colormaps[name](np.arange(256))[:, :3])
    assert np.abs(table - expected).max() <= 2  # between anchors there are straight lines


@pytest.mark.parametrize(
    ("epochs", "points", "expected"),
    [
        ([0, 3, 7], [], [0, 7]), ([], [[0.5, 1, 2.0], [4, 9, 1.0]], [0, 3]), ([-1, 2], [[1, 1, 2.0]], [-1, 2]),
        ([2], [[1, 1, 2.0], [9.5, 9, 1.0]], [0, 9]), ([], [], None),
    ],
)  # fmt: skip
def test_the_slider_visits_epochs_with_curves_and_with_maps(epochs, points, expected):
    series = {"loss": points} if points else {}
    run = f"{{ epochs: {json.dumps([{'epoch': at} for at in epochs])}, series: {json.dumps(series)} }}"
    assert call(f"epochRange({run})", "core/epochs.js") == expected


def test_names_of_classes_that_look_alike_or_like_nothing_have_their_number() -> None:
    names = ["cat", "cat ", "dog", "", " ", "\u200b", "\u00a0", "a  b", "a b", "c\u00e1", "ca\u0301", "CAT", "e\u200d",
             "fox", "fox\u200b"]  # fmt: skip
    found = call(f"distinctNames({json.dumps(names)})", "core/class_names.js")
    assert found == [
        "cat (class 0)", "cat  (class 1)", "dog", "blank (class 3)", "blank (class 4)", "blank (class 5)",
        "blank (class 6)", "a  b (class 7)", "a b (class 8)", "c\u00e1 (class 9)", "ca\u0301 (class 10)", "CAT",
        "e\u200d", "fox (class 13)", "fox\u200b (class 14)",
    ]  # fmt: skip
    assert call("className({ classes: ['a', ''] }, 1)", "core/class_names.js") == "blank (class 1)"
    assert call("[null, undefined, 7].map((i) => className({ classes: ['a'] }, i))", "core/class_names.js") == [
        "unknown", "unknown", "class 7",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["digits-resnet20-cbam-seed0", "digits-resnet20-se-seed0"], ["cbam-seed0", "se-seed0"]),
        (["digits-cbam", "digits-cbam2"], ["cbam", "cbam2"]),
        (["digits-cbam", "digits-"], ["digits-cbam", "digits-"]),
        (["a-1", "a-2"], ["a-1", "a-2"]),
        (["digits-a"], ["digits-a"]),
        (["same-run", "same-run"], ["run", "run"]),
        (["x", "y"], ["x", "y"]),
    ],
)
def test_narrow_places_show_what_tells_runs_apart(names: list[str], short: list[str]) -> None:
    before = "globalThis.cvAttentionReport = { runs: [] };"
    assert call(f"withoutCommon({json.dumps(names)})", "core/run_names.js", before=before) == short
