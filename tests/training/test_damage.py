"""Damaged, foreign and newer files of a run: one line that names the file, or the intact one next to it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from cv_attention import training
from cv_attention.cli import main
from cv_attention.rundir import NewerFormat, summary
from cv_attention.training import settling
from cv_attention.training.checkpoint import checkpoints
from cv_attention.training.checkpoint.weights import write as write_weights
from cv_attention.training.tasks.selection import Selected
from tests.quick import quick_first


@pytest.fixture
def run(tiny_run, tmp_path) -> Path:
    copy = shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("report", "wandb", ".lock"))
    for name in ("best", "last"):  # they may be one file
        path = copy / f"checkpoints/{name}.ckpt"
        path.write_bytes(path.read_bytes())
    return copy


def one_line(capsys, *arguments: object, code: int = 2) -> str:
    assert main([str(argument) for argument in arguments]) == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return error


def unsealed(path: Path, **values: object) -> None:
    """Changes values of a summary as somebody would who knows nothing of checksums."""
    content = {**json.loads(path.read_text()), **values}
    content.pop("sha256")
    path.write_text(json.dumps(content))


SPOILT = {
    "empty": (b"", "it is empty"),
    "torn": (b'{"test": {', "is not JSON"),
    "a list": (b"[1]", "not a mapping of names to values"),
    "not UTF-8": (b"\xff\xfe{}", "not UTF-8"),
    "nested": (b"[" * 100_000, "nested too deeply"),
    "something else": (b'{"a": 1}', "nothing of a run"),
}


@pytest.mark.parametrize(("content", "words"), quick_first(SPOILT.values(), 3), ids=SPOILT)
def test_a_damaged_summary_is_one_line_for_resume_and_compare(content, words, run, capsys):
    (run / "summary.json").write_bytes(content)
    for arguments in (("fit", "--resume", run, "--trainer.max_epochs=3"), ("compare", run, run)):
        error = one_line(capsys, *arguments)
        assert f"{run}/summary.json" in error
        assert words in error
    assert main(["report", str(run), "-o", str(run / "page")]) == 0  # the page says so
    assert "summary.json could not be read" in next((run / "page/data").glob("report.*.js")).read_text()


def test_a_changed_figure_in_a_summary_is_noticed(run, capsys):
    path = run / "summary.json"
    text = path.read_text()
    accuracy = json.loads(text)["test"]["accuracy"]
    path.write_text(text.replace(f'"accuracy": {accuracy}', '"accuracy": 0.9876', 1))
    assert "does not have the SHA-256" in one_line(capsys, "compare", run, run)
    older = {name: value for name, value in json.loads(text).items() if name not in ("format", "sha256")}
    path.write_text(json.dumps(older))  # from before there were either
    assert main(["compare", str(run)]) == 0


def test_files_beside_the_summary_are_verified(run, capsys):
    assert not list(summary.changes(run, summary.read(run)))
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("seed: 0", "seed: 1", 1))
    metrics = run / "metrics/0/metrics.csv"
    metrics.write_text(metrics.read_text().replace("1", "2", 1))
    (run / "confusion/test.json").unlink()
    found = list(summary.changes(run, summary.read(run)))
    assert found == [
        "config.yaml has changed since it was written",
        "confusion/test.json is missing",
        "metrics/0/metrics.csv has changed since it was written",
    ]
    assert main(["compare", str(run)]) == 0
    assert f"{run}: config.yaml has changed" in capsys.readouterr().out
    assert main(["report", str(run), "-o", str(run / "page")]) == 0
    page = next((run / "page/data").glob("report.*.js")).read_text()
    assert all(name in page for name in ("config.yaml has changed", "metrics.csv has changed", "test.json is missing"))


def test_a_test_of_the_run_renews_the_checksum_of_its_predictions(run):
    assert main(["test", str(run)]) == 0
    assert not list(summary.changes(run, summary.read(run)))


COMMANDS = {
    "test": ["test", "RUN"],
    "resume": ["fit", "--resume", "RUN", "--trainer.max_epochs=3"],
    "compare": ["compare", "RUN", "OTHER"],
    "report": ["report", "RUN", "OTHER", "-o", "OUT"],
}


@pytest.mark.parametrize("command", ["resume", "compare", "report"])
def test_a_run_of_a_newer_version_is_refused_with_both(command, run, tiny_run, tmp_path, capsys):
    unsealed(run / "summary.json", format=7, provenance={"cv_attention": "9.9"}, newfield=1)
    names = {"RUN": run, "OTHER": tiny_run, "OUT": tmp_path / "out"}
    error = one_line(capsys, *(names.get(word, word) for word in COMMANDS[command]))
    assert f"{run}/summary.json has format 7, written by cv_attention 9.9; this is 0.1.0, which reads up to" in error
    assert ("leave it out to compare the others" in error) == (command == "compare")


def test_a_field_of_the_configuration_that_there_is_not_is_named(tiny_checkpoint, tmp_path):
    content = torch.load(tiny_checkpoint, weights_only=True)
    for change, words in (
        (lambda plain: plain["model"].update(newfield=1), "experiment.model has no field 'newfield'"),
        (
            lambda plain: plain.update(trainer=[1]),
            r"experiment.trainer must be a mapping of names to values, got \[1\]",
        ),
        (lambda plain: plain["trainer"].update(precision=[5]), r"experiment.trainer.precision must be str, got \[5\]"),
        (lambda plain: plain["model"].update(options={"width": "x"}), "width must be a whole number"),
        (lambda plain: plain["data"].pop("workers"), None),  # of an older version: its default counts
    ):
        plain = json.loads(json.dumps(content["experiment"]))
        change(plain)
        torch.save({**content, "experiment": plain}, tmp_path / "other.ckpt")
        if words is None:
            assert training.load(tmp_path / "other.ckpt").experiment.data.workers == 0
            continue
        with pytest.raises(ValueError, match=words) as error:
            training.load(tmp_path / "other.ckpt")
        assert str(error.value).startswith(str(tmp_path / "other.ckpt"))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "facts",
    [{}, {"class_names": 3}, {"image_size": [10**9, 10**9]}, {"mean": ["a", 1, 1]}, {"std": [0, 1, 1]}, {"x": 1}],
)
def test_facts_of_the_wrong_kind_are_one_line(facts, tiny_checkpoint, tmp_path):
    content = torch.load(tiny_checkpoint, weights_only=True)
    content["facts"] = {**content["facts"], **facts} if facts else {}
    torch.save(content, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match=r"^\S*other.ckpt: ") as error:
        training.load(tmp_path / "other.ckpt")
    assert "\n" not in str(error.value)


def test_a_damaged_best_checkpoint_names_the_weights_beside_it(run, capsys):
    best = run / "checkpoints/best.ckpt"
    best.write_bytes(best.read_bytes()[:-100])
    error = one_line(capsys, "test", run)
    assert f"{best} cannot be read as a checkpoint" in error
    assert f"{run}/weights.safetensors is the network that was tested last" in error
    best.unlink()
    best.mkdir()
    assert f"{best} is a folder" in one_line(capsys, "test", run)


@pytest.mark.parametrize(
    ("spoil", "expected", "words"),
    [
        (lambda best, last: best.write_bytes(b""), "last", "best.ckpt cannot be read"),
        (lambda best, last: best.unlink(), "last", "best.ckpt is missing"),
        (lambda best, last: (best.unlink(), best.mkdir()), "last", "it is a folder"),
        (lambda best, last: last.write_bytes(b"x"), "best", None),
    ],
)
def test_the_test_takes_the_checkpoint_that_is_whole(spoil, expected, words, run):
    best, last = run / "checkpoints/best.ckpt", run / "checkpoints/last.ckpt"
    whole = torch.load(last, weights_only=True)["state_dict"]
    network = training.load(last)
    spoil(best, last)
    selected, lines = settling._choose(run, Selected("best", "a reason"), network)
    assert selected.epoch == expected
    assert [words in line for line in lines] == ([True] if words else [])
    assert training.load(best).state_dict().keys() == whole.keys()
    best.write_bytes(b"")
    last.write_bytes(b"")
    with pytest.raises(training.NothingTrained, match=r"best.ckpt.*last.ckpt.*nothing to test"):
        settling._choose(run, Selected("best", "a reason"), network)


@pytest.mark.long
def test_a_run_whose_best_checkpoint_is_damaged_goes_on(run, capsys):
    (run / "checkpoints/best.ckpt").write_bytes(b"")
    assert main(["fit", "--resume", str(run), "--trainer.max_epochs=3", "--log.maps_every=0"]) == 0
    error = capsys.readouterr().err
    assert "best.ckpt cannot be read as a checkpoint" in error
    assert "the best of the coming epochs will replace it" in error
    assert checkpoints.read(run / "checkpoints/best.ckpt")["epoch"] == 2


def test_a_run_does_not_go_on_with_other_classes(run, capsys):
    path = run / "checkpoints/last.ckpt"
    content = torch.load(path, weights_only=True)
    content.pop("sha256")
    content["facts"]["class_names"] = (*"0123456789", "ten")
    torch.save(content, path)
    error = one_line(capsys, "fit", "--resume", run, "--trainer.max_epochs=3")
    assert "data has the classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9; the network knows 0, 1, 2" in error


def test_a_checkpoint_of_another_network_is_not_gone_on_with(run, capsys):
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["model"]["options"] = {"width": 8}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    error = one_line(capsys, "fit", "--resume", run, "--trainer.max_epochs=3")
    assert "last.ckpt does not fit the network of the run's config.yaml" in error


@pytest.mark.parametrize("command", ["export", "saliency", "evaluate-saliency"])
def test_weights_that_are_not_finite_end_the_command(command, tiny_checkpoint, tmp_path, capsys):
    classifier = training.load(tiny_checkpoint)
    classifier.network.state_dict()["layer1.0.conv1.weight"][0, 0, 0, 0] = torch.nan
    path = tmp_path / "nan.safetensors"
    write_weights(path, classifier)
    arguments = {
        "export": ("export", path, "--format", "torch-export"),
        "saliency": (
            "saliency",
            "--checkpoint",
            path,
            "--split",
            "test",
            "-o",
            tmp_path / "out",
            "--accelerator",
            "cpu",
        ),
        "evaluate-saliency": ("evaluate-saliency", path, "-o", tmp_path / "out", "--device", "cpu"),
    }
    error = one_line(capsys, *arguments[command])
    assert f"{path}: 1 of 144 values of layer1.0.conv1.weight are not finite" in error


def test_newer_is_told_before_damage():
    from cv_attention.rundir import Damaged, check_format

    with pytest.raises(
        NewerFormat, match=r"x has format 3, written by cv_attention a later version; .* up to format 2"
    ):
        check_format(Path("x"), 3, 2, {"not": "text"})
    check_format(Path("x"), None, 2)
    for wrong in ("2", 1.5, True, 0, [1]):
        with pytest.raises(Damaged, match="its format must be a whole number"):
            check_format(Path("x"), wrong, 2)
