"""The share of characters that the weights of their steps lie on, against plain loops."""

import itertools

import numpy as np
import pytest
import torch

from cv_attention import data, training
from cv_attention.alignment import align
from cv_attention.training.tasks.reading.pointing import AttentionInBox, touches


def by_pixels(position, box, grid, size):
    """Whether a cell and a box share a pixel, with both drawn on a canvas of quarters of pixels."""
    canvas, scale = np.zeros((2, size[0] * 4, size[1] * 4), bool), 4
    high, wide = size[0] * scale // grid[0], size[1] * scale // grid[1]
    row, column = divmod(position, grid[1])
    canvas[0, row * high : (row + 1) * high, column * wide : (column + 1) * wide] = True
    x0, y0, x1, y1 = (round(float(side) * scale) for side in box)
    canvas[1, y0:y1, x0:x1] = True
    return bool(canvas.all(0).any())


def test_a_cell_touches_a_box_where_they_share_a_pixel():
    generator = np.random.default_rng(0)
    grid, size = (2, 4), (16, 32)
    corners = generator.integers(0, 16, (40, 2, 2)) * np.array([2, 1])  # many at edges of cells
    lengths = generator.integers(1, 10, (40, 2))
    boxes = np.concatenate([corners[:, 0], np.minimum(corners[:, 0] + lengths, [32, 16])], 1).astype(np.float32)
    found = touches(torch.arange(8)[None], torch.from_numpy(boxes)[None], grid, size)[0]
    for position, number in itertools.product(range(8), range(40)):
        assert bool(found[position, number]) == by_pixels(position, boxes[number], grid, size)


def test_steps_are_matched_with_the_truth_by_the_alignment():
    boxes = torch.tensor([[[0.0, 0, 8, 8], [8, 0, 16, 8]]] * 3)
    weights = torch.zeros(3, 2, 4, 4)
    for step, column in enumerate([0, 3, 1, 2]):
        weights[0, :, step, column] = 1  # 1 at the first digit, 9 elsewhere, 2 at the second, the end elsewhere
    weights[1:, :, :, 1] = 1
    read, true = [("1", "9", "2"), ("1",), ("1", "7")], [("1", "2"), ("1", "3"), ("1", "2")]
    kinds = [[pair.kind[0] for pair in align(one, other)] for one, other in zip(read, true, strict=True)]
    assert kinds == [["m", "i", "m"], ["m", "d"], ["m", "s"]]
    shares = []
    for image in range(3):
        metric = AttentionInBox()
        metric.update(read[image:][:1], true[image:][:1], weights[image:][:1], boxes[:1], (1, 4), (8, 32))
        shares.append(metric.compute().item())
    assert shares == [1, 0, 0.5]  # in the second, 3 was not read, and so not looked at


def test_units_without_a_box_do_not_count_and_heads_are_averaged():
    boxes = torch.tensor([[[0.0, 0, 8, 8], [float("nan")] * 4]])
    weights = torch.tensor([[[[0.4, 0.6], [1.0, 0.0]], [[0.9, 0.1], [1.0, 0.0]]]])
    metric = AttentionInBox()
    metric.update([("1", "2")], [("1", "2")], weights, boxes, (1, 2), (8, 16))
    assert (int(metric.hits), int(metric.total)) == (1, 1)
    metric.reset()
    metric.update([("1", "2")], [("1", "2")], weights[:, :1], boxes, (1, 2), (8, 16))
    assert (int(metric.hits), int(metric.total)) == (0, 1)


def test_the_test_reports_the_share(transcriber):
    module = data.create(transcriber.experiment.data, seed=transcriber.experiment.seed)
    module.setup()
    for seed in range(20):  # weights that point into some boxes
        torch.manual_seed(seed)
        for parameter in transcriber.network.head.score.parameters():
            parameter.data.normal_()
        hits, total = counted(transcriber, module.splits["test"])
        if 0 < hits < total:
            break
    assert 0 < hits < total
    assert training.evaluate(transcriber)["attention_in_box"] == pytest.approx(hits / total)


def counted(transcriber, split):
    """Characters that are looked at, and all, an image at a time."""
    hits = total = 0
    for index in range(len(split)):
        batch = split.batch([(0, index)])
        with torch.no_grad():
            found = transcriber.network.search(transcriber.normalise(batch["image"]))
        [reading] = transcriber.network.readings(found)
        rows, columns = transcriber.network.memory(transcriber.normalise(batch["image"])).grid
        for pair in align(reading.text, split.images.texts[index]):
            if pair.true is None:
                continue
            total += 1
            if pair.read is not None:
                position = int(found.weights[0].mean(0)[pair.read].argmax())
                hits += by_pixels(position, batch["boxes"][0, pair.true], (rows, columns), (48, 128))
    return hits, total


def test_a_head_without_attention_has_no_such_figure(tiny_options, tmp_path):
    from cv_attention.cli import main
    from cv_attention.rundir import summary

    options = [*tiny_options, "--model.head=ctc", f"--log.root={tmp_path}", "--log.name=ctc"]
    assert main(["fit", *options]) == 0
    assert set(summary.read(tmp_path / "ctc")["test"]) == {"cer", "exact", "word_accuracy"}
