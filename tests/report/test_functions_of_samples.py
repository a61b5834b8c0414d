"""Functions of the page on samples and their maps, called in Node and compared with the same in NumPy."""

import json

import numpy as np
import pytest

from cv_attention.report.write.shards import encode
from tests.report.node import call

IMAGE_DATA = """
globalThis.location = { hash: "" };
globalThis.ImageData = class {
  constructor(width, height) {
    Object.assign(this, { width, height, data: new Uint8ClampedArray(4 * width * height) });
  }
};
"""


def masked(pixels: np.ndarray, ranks: list[int], count: int, kind: str, mean: list[float], kernel: list[float]):
    """Calls the page's `maskImage` on (H, W, 4)."""
    height, width = pixels.shape[:2]
    image = f"{{ width: {width}, height: {height}, data: {pixels.ravel().tolist()} }}"
    how = json.dumps({"mean": mean, "kernel": kernel})
    made = f"Array.from(maskImage({image}, {ranks}, {count}, {kind!r}, {how}).data)"
    data = call(made, "panels/masking.js", before=IMAGE_DATA)
    return np.array(data).reshape(pixels.shape)


@pytest.mark.parametrize("count", [0, 1, 5, 6])
@pytest.mark.parametrize("kind", ["deletion", "insertion"])
def test_as_many_pixels_are_masked_as_the_curve_says(kind, count):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 3, 4))
    pixels[..., 3] = 255
    mean, kernel, ranks = [0.2, 0.4, 0.6], [0.25, 0.5, 0.25], rng.permutation(6)
    colour = 255 * np.array(mean)
    if kind == "deletion":
        first, rest = np.broadcast_to(np.round(colour), (2, 3, 3)), pixels[..., :3]
    else:  # blurred along both axes, with the mean colour outside of the image
        around = np.pad(pixels[..., :3] - colour, [(1, 1), (1, 1), (0, 0)])
        down = sum(weight * around[i : i + 2] for i, weight in enumerate(kernel))
        soft = sum(weight * down[:, i : i + 3] for i, weight in enumerate(kernel))
        first, rest = pixels[..., :3], np.round(soft + colour)
    expected = np.where((ranks < count).reshape(2, 3, 1), first, rest)
    found = masked(pixels, ranks.tolist(), count, kind, mean, kernel)
    assert np.abs(found[..., :3] - expected).max() <= 1  # of the rounding
    assert (found[..., 3] == 255).all()


@pytest.mark.parametrize("function", ["headMaps", "queryMaps"])
def test_maps_of_heads_and_positions_are_cut_out_of_all(function):
    """Of 2 samples with 3 heads and 4 queries each, on a grid of 2 x 5."""
    shape = (2, 3, 4, 2, 5) if function == "queryMaps" else (2, 3, 2, 5)
    values = np.arange(np.prod(shape))
    numbers = f"Int32Array.from({values.tolist()})"
    all_of_them = f"{{ images: 2, heads: 3, queries: 4, height: 2, width: 5, values: {numbers} }}"
    before = "globalThis.location = { hash: '' };"
    for sample, query in np.ndindex(2, 4):
        asked = f"{all_of_them}, {sample}" + (f", {query}" if function == "queryMaps" else "")
        cut = f"{function}({asked}).map((map) => Array.from(map.values))"
        found = call(cut, "panels/attending.js", before=before)
        every = values.reshape(shape)[sample]
        expected = every[:, query] if function == "queryMaps" else every
        assert found == expected.reshape(3, -1).tolist()
    beyond = f"{function}({all_of_them}, 2" + (", 0)" if function == "queryMaps" else ")")
    assert call(beyond, "panels/attending.js", before=before) == []


RUN_OF_SIX = """
globalThis.location = { hash: "" };
const probes = [0, 0, 0, 1, null, 0].map((label, i) => ({ name: `image ${i}`, label, flags: i === 2 ? ["dark"] : [] }));
const epochs = [[0, 1, 1, 1, 1, 0], [0, 0, 1, 0, 0, null], [0, 1, 1, 0, 1, 0]].map((predictions, epoch) => ({
  epoch, predictions, confidence: [0.9, 0.95, 0.5, 0.2, 0.99, 0.7], losses: [], maps: [],
}));
const run = { name: "run", epochs, columns: [], classes: ["a", "b"], probes, series: {} };
globalThis.cvAttentionReport = { runs: [run] };
"""


def test_a_prediction_is_right_wrong_or_unknown():
    listed = "report.runs[0].epochs.map((one) => report.runs[0].probes.map((_, i) => isRight(report.runs[0], one, i)))"
    assert call(listed, "samples/flags.js", "core/report.js", before=RUN_OF_SIX) == [
        [True, False, False, True, None, True],
        [True, True, False, False, None, None],
        [True, False, False, False, None, True],
    ]


@pytest.mark.parametrize(
    ("epoch", "flags"),
    [
        (0, [[], ["confident and wrong"], ["dark", "never right"], [], [], []]),
        (1, [[], ["prediction changed"], ["dark", "never right"], ["prediction changed", "forgotten"],
             ["prediction changed"], ["prediction changed"]]),
        (2, [[], ["prediction changed", "forgotten", "confident and wrong"], ["dark", "never right"], ["forgotten"],
             ["prediction changed"], ["prediction changed"]]),
    ],
)  # fmt: skip
def test_flags_of_predictions(epoch, flags):
    """An image of unknown class is never wrong, and so neither forgotten nor never right."""
    run = "report.runs[0]"
    listed = f"{run}.probes.map((_, i) => flagsOf({run}, {run}.epochs[{epoch}], i))"
    assert call(listed, "samples/flags.js", "core/report.js", before=RUN_OF_SIX) == flags


@pytest.mark.parametrize(("epoch", "nearest"), [(0, 1), (2, 1), (3, 4), (4, 4), (9, 6)])
def test_the_nearest_epoch_in_which_a_column_was_logged(epoch, nearest):
    """Epochs 1, 4 and 6 have the column 1; epochs 0 and 3 others."""
    epochs = [{"epoch": at, "maps": {"1" if at in (1, 4, 6) else "0": ["hash"]}} for at in (0, 1, 3, 4, 6)]
    run = f"{{ epochs: {json.dumps(epochs)} }}"
    found, anyhow = (
        call(f"nearestSnapshot({run}, {epoch}{column}).epoch", "core/epochs.js") for column in (", { index: 1 }", "")
    )
    assert found == nearest
    assert abs(anyhow - epoch) == min(abs(one["epoch"] - epoch) for one in epochs)


DOCUMENT = """
globalThis.location = { hash: "" };
globalThis.document = {
  querySelectorAll: () => [],
  createElement: () => ({ setAttribute(name, value) { this[name] = value; }, remove() {} }),
  head: {
    append(script) {
      const key = script.src.match(/^data[/](.*)[.]hash[.]js$/)[1];
      queueMicrotask(() => { cvAttentionShard(key, payloads[key]); script.onload(); });
    },
  },
};
"""


def test_every_sample_has_its_own_values_and_range_in_whichever_block_it_lies():
    """Five samples in blocks of two."""
    maps = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float16)
    blocks = {f"run0/e7-c3-{block}": encode(maps[2 * block : 2 * block + 2]) for block in range(3)}
    given = f"globalThis.payloads = {json.dumps(blocks)};"
    given += "globalThis.cvAttentionReport = { runs: [], blocks: { maps: 2, pictures: 2 } };"
    snapshot = "{ run: { folder: 'run0' }, epoch: 7, maps: { 3: ['hash', 'hash', 'hash'] } }"
    read = f"loadRecordedMap({snapshot}, {{ index: 3 }}, i)"
    all_read = f"Promise.all([0, 1, 2, 3, 4].map((i) => {read}))"
    plain = f"{all_read}.then((maps) => maps.map((map) => ({{ ...map, values: Array.from(map.values) }})))"
    found = call(plain, "core/shards.js", before=DOCUMENT + given)
    for one, map in zip(found, maps, strict=True):
        assert (one["height"], one["width"]) == (3, 4)
        np.testing.assert_array_equal(np.array(one["values"], np.float16).reshape(3, 4), map)
        assert (one["lo"], one["hi"]) == (pytest.approx(float(map.min())), pytest.approx(float(map.max())))


@pytest.mark.parametrize(
    ("choices", "listed"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"search": "IMAGE 3"}, [2, 3]),  # a name, and the number that is shown
        ({"label": 0}, [0, 1, 2, 5]),
        ({"predicted": 1}, [1, 2, 4]),
        ({"show": "correct"}, [0, 5]),
        ({"show": "wrong"}, [1, 2, 3]),
        ({"least": 0.7}, [0, 1, 4, 5]),
        ({"most": 0.5}, [2, 3]),
        ({"flag": "dark"}, [2]),
        ({"flag": "selected", "selected": [4, 1]}, [1, 4]),
        ({"show": "wrong", "label": 0, "least": 0.9}, [1]),
        ({"sort": "confidence", "down": True}, [4, 1, 0, 5, 2, 3]),
        ({"sort": "confidence", "down": False}, [3, 2, 5, 0, 1, 4]),
        ({"sort": "flips", "down": True}, [1, 4, 5, 3, 0, 2]),
        ({"sort": "label", "down": False}, [0, 1, 2, 5, 3, 4]),
        ({"sort": "name", "down": True}, [5, 4, 3, 2, 1, 0]),
    ],
    ids=str,
)
def test_samples_are_filtered_and_sorted(choices, listed):
    """In the last of three epochs."""
    chosen = json.dumps({"epoch": 2, **choices})
    shown = f"(Object.assign(state, {chosen}), listSamples(report.runs[0]))"
    files = ("samples/selection.js", "core/state.js", "core/report.js")
    assert call(shown, *files, before=RUN_OF_SIX) == listed
