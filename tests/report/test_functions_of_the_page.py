"""Functions of the report's page that need no document, called in Node."""

import json

import numpy as np
import pytest

from tests.report.node import call


def test_pixels_are_ranked_from_the_most_salient_and_ties_keep_their_order():
    values = [0.5, 0.9, 0.5, 0.1, 0.9, 0.5]
    map_of_six = f"{{ values: {values}, height: 2, width: 3 }}"
    ranks = call(f"[...pixelRanks({map_of_six}, 2, 3)]", "panels/masking.js")
    order = np.argsort(-np.array(values), kind="stable")
    assert ranks == np.argsort(order).tolist() == [2, 0, 3, 5, 1, 4]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1+cmd", "'-1+cmd"), ("@SUM(A1)", "'@SUM(A1)"), ("\tx", "'\tx"),
        ("a-b", "a-b"), (-1.5, "-1.5"), (None, ""), ('say "a"', '"say ""a"""'), ("a,b", '"a,b"'), ("=a,b", "\"'=a,b\""),
        ("two\nlines", '"two\nlines"'), (True, "true"),
    ],
)  # fmt: skip
def test_cells_of_a_table_are_never_formulas(value, cell):
    assert call(f"csvCell({json.dumps(value)})", "core/csv.js") == cell


RUN_OF_FIVE = """
const [confidence, predictions] = [[1, 1, 1, 1, 1], [0, 0, 0, 0, 0]];
const snapshot = { epoch: 0, losses: [2, null, 1, 2, undefined], confidence, predictions };
const probes = [0, 1, 2, 3, 4].map((i) => ({ name: `image ${i}`, label: 0 }));
globalThis.cvAttentionReport = { runs: [{ epochs: [snapshot], columns: [], classes: ["class"], probes }] };
"""


@pytest.mark.parametrize(("down", "order"), [("false", [2, 0, 3, 1, 4]), ("true", [0, 3, 2, 1, 4])])
def test_unknown_values_come_last_in_both_directions(down, order):
    listed = f"(Object.assign(state, {{ sort: 'loss', down: {down}, epoch: 0 }}), listSamples(report.runs[0]))"
    files = ("samples/selection.js", "core/state.js", "core/report.js")
    assert call(listed, *files, before=RUN_OF_FIVE) == order


def test_the_cache_frees_what_was_unused_longest():
    script = """(async () => {
        const loaded = [];
        const cache = makeCache(100, async (key) => (loaded.push(key), { value: key.toUpperCase(), bytes: 40 }));
        await cache.get("a"); await cache.get("b");
        await cache.get("a");                       // used again: b is now the oldest
        await cache.get("c");                       // 120 bytes: one has to go
        const kept = ["a", "b", "c"].map((key) => cache.now(key) ?? null);
        await cache.get("b");
        return { kept, loaded };
    })()"""
    assert call(script, "core/cache.js") == {"kept": ["A", None, "C"], "loaded": ["a", "b", "c", "b"]}


def test_the_cache_forgets_what_failed():
    script = """(async () => {
        let tries = 0;
        const cache = makeCache(100, async () => {
            if (++tries === 1) throw new Error("gone");
            return { value: "there", bytes: 1 };
        });
        const first = await cache.get("a").catch((error) => error.message);
        return [first, await cache.get("a")];
    })()"""
    assert call(script, "core/cache.js") == ["gone", "there"]


@pytest.mark.parametrize(("x", "y"), [(0, 0), (2, 0), (0, 1), (1, 1), (2, 1)])
def test_the_value_under_the_pointer_is_that_of_the_cell(x, y):
    """Of a map of two rows and three columns, in a frame of 90 x 60 pixels that begins at (10, 20)."""
    values = np.arange(6).reshape(2, 3) / 8
    shown = f"{{ map: {{ values: {values.ravel().tolist()}, height: 2, width: 3 }}, other: null }}"
    event = f"{{ clientX: {10 + 30 * x + 15}, clientY: {20 + 30 * y + 15} }}"
    edge = "{ left: 10, top: 20, width: 90, height: 60 }"
    before = "globalThis.location = { hash: '' };"
    text = call(f"readValue({edge}, {event}, {{}}, {shown})", "drawing/readout.js", before=before)
    assert text == f"{values[y, x]:g} · row {y}, column {x} of 2 × 3"
