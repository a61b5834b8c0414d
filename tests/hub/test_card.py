"""What the card of a network says, from summaries and studies that are written by hand; nothing is trained."""

import json
import statistics

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard

from cv_attention.config import Data, Experiment, Log, Model, Optimizer, Trainer
from cv_attention.hub.card import About, card_text
from cv_attention.hub.pictures import draw_maps
from cv_attention.hub.seeds import OverSeeds, Study, over_seeds, study_of
from cv_attention.rundir.arrays import write_arrays
from cv_attention.rundir.contents import ColumnEntry, EpochRecord, ProbeEntry, Probes
from cv_attention.rundir.layout import EpochFile, RunLayout

SUMMARY = {
    "test": {"accuracy": 0.912345, "loss": 0.3, "note": "text", "flag": True},
    "validation": {"accuracy": 0.95}, "parameters": 1234567, "flops": 40_000_000, "training_seconds": 12345.6,
    "hardware": {"device": "a card", "precision": "bf16-mixed", "threads": 3},
    "selected": {"epoch": "best", "reason": "r"},
    "data": {"images": {"train": 50_000, "test": 10_000}, "fingerprint": "abc"},
    "provenance": {"torch": "2", "config": "f"},
}  # fmt: skip


def card(title="org/name", task="classification", experiment=None, names=("cat", "dog"), summary=SUMMARY, seeds=None,
         study=None, license=None, picture=None):  # fmt: skip
    return card_text(
        About(title, task, experiment or Experiment(), names, summary, seeds or {}, study, license, picture)
    )


def rows(text):
    """The cells of every table."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]


def metadata(text, tmp_path):
    (tmp_path / "README.md").write_text(text)
    return ModelCard.load(tmp_path / "README.md").data


def test_figures_are_numbers_with_four_digits(tmp_path):
    text = card()
    assert ["accuracy", "0.9123", "0.95"] in rows(text)
    assert "note" not in text
    assert "flag" not in text
    assert "1,234,567 parameters, 40,000,000 FLOPs for one image." in text
    assert "No other seed of this configuration was trained." in text
    assert "Selected: best, r." in text
    assert "50,000 train, 10,000 test images" in text
    assert "12,346 s" in text
    assert "a card, bf16-mixed" in text
    found = {result.metric_type: result.metric_value for result in metadata(text, tmp_path).eval_results}
    assert found == {"accuracy": 0.912345, "loss": 0.3}


@pytest.mark.parametrize(("task", "pipeline"), [
    ("classification", "image-classification"), ("bags", "image-classification"), ("reading", "image-to-text"),
    ("recall", None),
])  # fmt: skip
def test_the_hub_knows_what_kind_of_network_it_is(task, pipeline, tmp_path):
    data = metadata(card(task=task, picture="maps.webp" if pipeline else None), tmp_path)
    assert data.pipeline_tag == pipeline
    assert (data.eval_results is None) == (pipeline is None)
    assert data.tags == (["attention", "interpretability"] if pipeline else ["attention"])


@pytest.mark.parametrize(
    ("count", "ending"), [(1, "1 classes: c0."), (20, "c18, c19."), (23, "c19 and 3 more, see config")]
)
def test_twenty_classes_are_named(count, ending):
    text = card(names=[f"c{number}" for number in range(count)])
    assert ending in text
    assert f"{count} classes: c0" in text


def test_figures_over_seeds():
    seeds = {"accuracy": OverSeeds(0.9, 0.01234567, (0, 3)), "loss": OverSeeds(0.3, None, (0,))}
    text = card(seeds=seeds)
    assert "test, mean ± standard deviation, 2 seeds" in text
    assert "0.9 ± 0.01235" in text
    assert "one seed" in text
    assert "Seeds of the same configuration: 0, 3." in text
    assert "one seed" not in card(seeds={"loss": seeds["loss"]})


def test_what_the_weights_started_from(tmp_path):
    pretrained = Experiment(
        model=Model("timm/resnet18", pretrained=True, block={"name": "se", "reduction": 4}, head="gru")
    )
    text = card(experiment=pretrained, license="mit")
    assert "`timm/resnet18` with `se` at `residual` and the head `gru`, trained for classification" in text
    assert "mit. Training started from the weights `timm/resnet18`, whose licence applies as well." in text
    assert metadata(text, tmp_path).base_model == "timm/resnet18"
    assert metadata(card(), tmp_path).base_model is None
    assert "from the weights `mine`" in card(experiment=Experiment(model=Model(weights="mine")))


@pytest.mark.parametrize(("experiment", "named"), [
    (Experiment(), None), (Experiment(data=Data(name="torchvision/DTD")), None),
    (Experiment(data=Data(name="my_data.birds")), ["my_data.birds"]),
    (Experiment(model=Model("my_net.Net", block={"class_path": "a.B"})), ["a.B", "my_net.Net"]),
    (Experiment(model=Model(block={"class_path": "cv_attention.blocks.SE"})), None),
    (Experiment(log=Log(metrics=["torchmetrics.classification.MulticlassF1Score", "z.M"])), ["z.M"]),
])  # fmt: skip
def test_code_of_others_is_named(experiment, named):
    text = card(experiment=experiment)
    assert ("The weights name code that is not part of cv_attention" in text) == (named is not None)
    assert f'cva.load("org/name"{f", trust={named!r}" if named else ""})' in text


def test_texts_cannot_become_markup():
    text = card(title="a*b_[c](d)<e>", names=("<script>", "two\nlines", "`x`"))
    assert "# a\\*b\\_\\[c\\](d)\\<e\\>" in text
    assert "\\<script\\>, two lines, \\`x\\`" in text


def test_a_study_shows_what_it_has_decided_and_nothing_while_it_is_sealed(tmp_path):
    row = {"label": "se", "units": ["0", "1", "2"], "mean": 0.91, "difference": 0.02, "low": None, "high": 0.03}
    undecided = {**row, "label": "x", "verdict": "none", "reason": "too few", "mean": None}
    entries = ({**row, "verdict": "better"}, undecided)
    text = card(study=Study("digits", False, "val", "accuracy", entries))
    assert "## Study digits" in text
    assert "val accuracy" in text
    assert ["se", "3", "0.91", "+0.02", "better"] in rows(text)
    assert ["x", "3", "-", "+0.02", "too few"] in rows(text)
    sealed = card(study=Study("digits", True, "val", "accuracy", entries))
    assert "## Study" not in sealed
    assert "0.9123" not in sealed
    assert "still sealed" in sealed
    assert metadata(sealed, tmp_path).eval_results is None


def run(folder, seed=0, accuracy=0.5, **changes):
    folder.mkdir(parents=True)
    experiment = Experiment(seed=seed, log=Log(name=folder.name), **changes)
    (folder / "config.yaml").write_text(yaml.safe_dump(experiment.to_dict()))
    (folder / "summary.json").write_text(json.dumps({"test": {"accuracy": accuracy, f"only_{seed}": 1.0}}))
    return folder


def test_neighbours_that_differ_in_the_seed_alone(tmp_path):
    own = run(tmp_path / "a", 3, 0.5)
    run(tmp_path / "b", 1, 0.7)
    run(tmp_path / "c", 2, 0.9)
    run(tmp_path / "again", 3, 0.1)  # the run itself counts for its seed
    run(tmp_path / "other", 4, 0.0, optimizer=Optimizer(lr=0.2))
    run(tmp_path / "longer", 5, 0.0, trainer=Trainer(max_epochs=99))
    (run(tmp_path / "broken", 6, 0.0) / "summary.json").write_text("{")
    found = over_seeds(own)
    assert found.keys() == {"accuracy", "only_3"}
    assert found["accuracy"] == OverSeeds(
        pytest.approx(0.7), pytest.approx(statistics.stdev([0.5, 0.7, 0.9])), (1, 2, 3)
    )
    assert found["only_3"] == OverSeeds(1.0, None, (3,))


def test_the_study_of_a_trial(tmp_path):
    trial = run(tmp_path / "trials/abc")
    assert study_of(trial) is None
    for name, trials in (("a-damaged", None), ("b-other", ["x"]), ("digits", ["x", "abc"])):
        (tmp_path / name).mkdir()
        recipes = [{"comparison": None}, {"comparison": {"tables": [{"rows": [{"label": "se"}]}]}}]
        content = {"trials": [{"run": each} for each in trials or []], "recipes": recipes}
        content |= {"sealed": False, "split": "test", "metric": "cer"}
        (tmp_path / name / "study.json").write_text(json.dumps(content if trials else [1]))
    assert study_of(trial) == Study("digits", False, "test", "cer", ({"label": "se"},))
    assert study_of(run(tmp_path / "elsewhere/abc")) is None


@pytest.mark.parametrize(("attention", "saliency", "shown"), [
    (6, 1, ["block0", "block2", "block5", "cam0"]), (6, 0, ["block0", "block2", "block3", "block5"]),
    (2, 2, ["block0", "block1", "cam0", "cam1"]), (3, 5, ["block2", "cam0", "cam1", "cam2"]),
])  # fmt: skip
def test_four_maps_are_drawn_spread_over_the_network_with_its_last_one(
    attention, saliency, shown, tmp_path, monkeypatch
):
    layout, drawn = RunLayout(tmp_path), []
    titles = [f"block{n}" for n in range(attention)] + [f"cam{n}" for n in range(saliency)]
    columns = {f"m{n}": ColumnEntry(title, "saliency" if title[0] == "c" else "attention", "spatial")
               for n, title in enumerate(titles)}  # fmt: skip
    from PIL import Image

    names = [layout.probe_image(number) for number in range(3)]
    for name in names:
        (layout.maps / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 12)).save(layout.maps / name)
    Probes(("a", "b"), tuple(ProbeEntry(name, label=0) for name in names)).write(layout.probes)
    EpochRecord(2, 5, columns, [0] * 3, [[0.5, 0.5]] * 3, [0.1] * 3).write(layout.epoch_file(EpochFile.RECORD, 2))
    write_arrays(
        layout.epoch_file(EpochFile.MAPS, 2), {key: np.random.rand(3, 3, 4).astype(np.float16) for key in columns}
    )
    monkeypatch.setattr("cv_attention.hub.pictures.picture_grid", lambda titles, rows: drawn.append((titles, rows)))
    draw_maps(tmp_path, 2)
    [(found, rows)] = drawn
    assert found == ["image", *shown]
    assert [len(row) for row in rows] == [5, 5]
    assert draw_maps(tmp_path, 0) is None
    assert len(drawn) == 1
