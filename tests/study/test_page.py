"""The page of a study: one file, nothing of the test while it is sealed, and the images on which arms differ."""

import base64
import hashlib
import json
import re

import numpy as np
import pytest

from cv_attention import data
from cv_attention.cli import main
from cv_attention.config import Experiment
from cv_attention.config.plain import from_plain
from cv_attention.rundir import summary
from cv_attention.rundir.arrays import write_arrays
from cv_attention.rundir.readings import ReadText, write_readings
from cv_attention.study import report
from cv_attention.study.reporting.differing import differing_images
from tests.study.written import BASE, finish, finish_all, planned

FIGURES = {"plain": [0.70, 0.72, 0.71], "se": [0.75, 0.76, 0.77]}


def shown(folder):
    """What the page gets at the start."""
    page = (folder.out / "index.html").read_text()
    return json.loads(re.search(r"<script>window\.cvAttentionReport=(.*);</script>", page)[1])


def reported(plan, folder):
    report(plan, folder, ["cv-attention study toy.yaml"], print)
    return shown(folder)


def predict(plan, folder, right):
    """Writes finished trials with predictions: arm -> which of the 16 test images it gets right in each seed."""
    module = data.create(from_plain(Experiment, BASE).data, seed=0)
    module.setup()
    images = module.splits["test"].images
    names = np.array([images.short_name(i) for i in range(16)])
    label = images.labels.astype(np.int64)
    for trial in plan.trials(folder.trials, {}):
        hits = np.isin(np.arange(16), right[trial.arm][trial.seed])
        run = folder.run(trial.name)
        finish(trial, run, float(hits.mean()))
        arrays = {
            "index": np.arange(16), "name": names, "label": label, "predicted": np.where(hits, label, (label + 1) % 10),
            "probability": hits / 2.0, "class_names": np.array([str(n) for n in range(10)]),
        }  # fmt: skip
        write_arrays(run / "predictions.npz", arrays, compressed=True)
    return module


def test_the_page_is_one_file_whose_policy_names_its_scripts(tmp_path):
    plan, folder = planned(tmp_path)
    finish_all(plan, folder, FIGURES)
    reported(plan, folder)
    page = (folder.out / "index.html").read_text()
    assert not re.search(r'(src|href)="(?!data:)', page)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)[1]
    running = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    for text in [*running, re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]]:
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy
    assert len(running) == 2
    assert str(tmp_path) not in page


def test_the_page_says_what_the_table_says(tmp_path):
    plan, folder = planned(tmp_path, controls={"also": ["identity"]})
    finish_all(plan, folder, {**FIGURES, "se": [0.75, None, 0.77], "se+identity": FIGURES["plain"]})
    study = reported(plan, folder)["study"]
    [table] = study["recipes"][0]["tables"]
    text = (folder.out / "table.md").read_text()
    for row in table["rows"]:
        assert row["value"] in text
        assert row["words"] in text
    assert [row["arm"] for row in table["rows"]] == ["plain", "se"]
    assert (table["rows"][1]["runs"], table["rows"][1]["unfinished"]) == (2, 1)
    assert study["recipes"][0]["honest"][0].startswith("A/A: se+identity equals plain")
    assert [(one["arm"], one["reason"]) for one in study["failed"]] == [("se", "NonFiniteLoss: the loss is nan")]
    assert (study["margin"], study["split"], study["sealed"]) == (0.5, "test", False)
    assert study["methods"] == (folder.out / "methods.md").read_text()


def test_sealed_results_are_not_in_the_page(tmp_path):
    plan, folder = planned(tmp_path)
    predict(plan, folder, {"plain": [[0, 1, 2]] * 3, "se": [[0, 1, 3]] * 3})
    last = plan.trials(folder.trials, {})[-1]
    (folder.run(last.name) / "summary.json").unlink()
    study = reported(plan, folder)["study"]
    assert (study["sealed"], study["split"], study["tested"]) == (True, "validation", None)
    page = (folder.out / "index.html").read_text()
    assert "0.1875" not in page  # 3 of 16
    assert "18.75" in page  # the same figure of the validation split, in percent


def test_images_on_which_arms_differ(tmp_path):
    plan, folder = planned(tmp_path)
    right = {"plain": [[0, 1, 2], [0, 1], [0, 5]], "se": [[1, 3, 4], [1, 3], [1, 3, 5]]}
    module = predict(plan, folder, right)
    tested = reported(plan, folder)["study"]["tested"]
    assert tested["total"] == 16
    # By hand: only se is right on 3, 4 | 3 | 1, 3, and only plain on 0, 2 | 0 | 0.
    assert tested["pairs"][""]["se"]["plain"] == pytest.approx(5 / 3)
    assert tested["pairs"][""]["plain"]["se"] == pytest.approx(4 / 3)
    names = [module.splits["test"].images.short_name(i) for i in (0, 1, 2, 3, 4)]
    assert [probe["name"] for probe in tested["probes"]] == names
    first = next(t for t in plan.trials(folder.trials, {}) if (t.arm, t.seed) == ("se", 0))
    answers = tested["answers"][first.name]
    assert [answer is None for answer in answers] == [False, True, False, True, True]
    label = module.splits["test"].images.labels
    assert tested["words"][answers[0]] == str((label[0] + 1) % 10)
    assert tested["probes"][0]["truth"] == str(label[0])


def test_pictures_are_those_of_the_test_split(tmp_path):
    plan, folder = planned(tmp_path)
    module = predict(plan, folder, {"plain": [[0]] * 3, "se": [[3]] * 3})
    found = differing_images(plan, folder, report(plan, folder, [], print, write=False))
    wanted = module.splits["test"][3]["image"].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(found.images[1].picture, wanted)
    assert found.note == ""


def test_images_that_are_gone_are_listed_without_pictures(tmp_path, monkeypatch):
    plan, folder = planned(tmp_path)
    predict(plan, folder, {"plain": [[0]] * 3, "se": [[3]] * 3})
    monkeypatch.setattr(data, "create", lambda config, seed: (_ for _ in ()).throw(FileNotFoundError("no such folder")))
    study = reported(plan, folder)["study"]
    assert "no such folder" in study["tested"]["note"]
    assert len(study["tested"]["probes"]) == 2


def test_texts_that_one_network_reads_right(tmp_path):
    plan, folder = planned(tmp_path)
    read = {"plain": ["12", "34"], "se": ["12", "35"]}
    for trial in plan.trials(folder.trials, {}):
        run = folder.run(trial.name)
        shown = zip(read[trial.arm], ("12", "35"), strict=True)
        rows = [ReadText(f"{i}.png", text, 0.9, truth, 0.0) for i, (text, truth) in enumerate(shown)]
        right = sum(row.text == row.truth for row in rows) / 2
        finish(trial, run, right)
        summary.update(run, test={"exact": right, "cer": 0.1}, validation={"cer": 0.1, "epoch": 1})
        write_readings(run / "readings.csv", rows)
    found = differing_images(plan, folder, report(plan, folder, [], print, write=False))
    assert [(image.name, image.truth) for image in found.images] == [("1.png", "35")]
    assert found.pairs[""]["se"]["plain"] == 1
    answers = {trial.arm: found.answers[trial.name] for trial in plan.trials(folder.trials, {})}
    assert answers == {"plain": ["34"], "se": [None]}


def test_nothing_has_finished(tmp_path, capsys):
    plan, folder = planned(tmp_path)
    assert main(["study", str(plan.path), "--root", str(folder.root), "--report"]) == 0
    content = shown(folder)
    assert content["runs"] == []
    assert content["study"]["recipes"][0]["tables"] == []
