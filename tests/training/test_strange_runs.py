"""Run directories of somebody else, or edited by hand: resuming them executes, overwrites and removes nothing."""

import json
import shutil
import signal
import sys
from pathlib import Path

import pytest
import torch
import yaml

from cv_attention.cli import main
from cv_attention.config import SaliencyExport
from cv_attention.exporting import folder
from cv_attention.rundir.files import write_bytes
from cv_attention.training.recording.probe_details import ProbeDetails
from tests.quick import quick_first


@pytest.fixture
def untested(tiny_run, tmp_path) -> Path:
    """A run that is trained, and whose test is left."""
    run = shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("report", "wandb", ".lock"))
    for name in ("best", "last"):  # they may be one file
        path = run / f"checkpoints/{name}.ckpt"
        path.write_bytes(path.read_bytes())
    summary = json.loads((run / "summary.json").read_text())
    left = {name: summary[name] for name in summary if name not in ("test", "selected", "finished", "files", "sha256")}
    (run / "summary.json").write_text(json.dumps(left))
    return run


def changed(path: Path, **parts: object) -> None:
    """Changes parts of a configuration: ``log={"root": ...}``."""
    config = yaml.safe_load(path.read_text())
    for part, values in parts.items():
        config[part].update(values)
    path.write_text(yaml.safe_dump(config))


def test_the_tested_checkpoint_may_name_only_what_the_run_names(untested, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("open('PWNED', 'w').close()\nclass Evil: pass\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    changed(untested / "config.yaml", trainer={"select": "best"})
    best = untested / "checkpoints/best.ckpt"
    content = torch.load(best, weights_only=True)
    content.pop("sha256")
    content["experiment"]["model"]["block"] = {"class_path": "evil.Evil"}
    torch.save(content, best)
    assert main(["fit", "--resume", str(untested)]) in (1, 2)
    assert "names the class evil.Evil" in capsys.readouterr().err
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.long
def test_a_best_checkpoint_of_another_network_is_not_tested(untested, capsys):
    best = untested / "checkpoints/best.ckpt"
    content = torch.load(best, weights_only=True)
    content.pop("sha256")
    name = next(iter(content["state_dict"]))
    content["state_dict"][name] = content["state_dict"][name][:1]
    torch.save(content, best)
    changed(untested / "config.yaml", trainer={"select": "best"})
    assert main(["fit", "--resume", str(untested)]) == 0
    said = capsys.readouterr()
    assert f"best.ckpt does not fit the network of the run's config.yaml: {name} differs" in said.out + said.err


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_nothing_is_written_through_a_link(link, tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    getattr(tmp_path / "file.partial", link)(mine)
    write_bytes(tmp_path / "file", b"theirs")
    assert ((tmp_path / "file").read_text(), mine.read_text()) == ("theirs", "mine")
    (tmp_path / "again").symlink_to(mine)
    write_bytes(tmp_path / "again", b"theirs")
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("name", ["maps", "metrics", "checkpoints/deeper"])
def test_a_folder_that_is_a_link_out_of_the_run_is_refused(name, untested, tmp_path, capsys):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "IMG-0042.jpg").write_text("mine")
    shutil.rmtree(untested / name, ignore_errors=True)
    (untested / name).symlink_to(elsewhere)
    assert main(["fit", "--resume", str(untested)]) == 2
    error = capsys.readouterr().err
    assert f"{untested / name} is a link to {elsewhere}, outside of {untested}" in error
    assert error.count("\n") == 1
    assert (elsewhere / "IMG-0042.jpg").exists()


@pytest.mark.long
def test_resuming_needs_the_run_directory_alone(untested):
    changed(untested / "config.yaml", log={"root": "/proc/1/nowhere"})
    assert main(["fit", "--resume", str(untested)]) == 0


@pytest.mark.long
def test_other_images_are_named_and_noted(untested, capsys):
    before = json.loads((untested / "summary.json").read_text())["data"]
    command = [
        "fit",
        "--resume",
        str(untested),
        "--data.digits.train=80",
        "--trainer.max_epochs=3",
        "--log.maps_every=0",
    ]
    assert main(command) == 0
    train = before["images"]["train"]
    assert f"the images are others than before (train: {train} -> 80)" in capsys.readouterr().err
    assert json.loads((untested / "summary.json").read_text())["data_before"] == [before]


@pytest.mark.parametrize("number", quick_first([signal.SIGTERM, signal.SIGINT]))
def test_a_signal_at_the_end_of_the_training_is_obeyed(number, untested, monkeypatch, capfd):
    def struck(*_):
        signal.raise_signal(number)

    monkeypatch.setattr(ProbeDetails, "on_fit_end", struck)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        command = ["fit", "--resume", str(untested), "--trainer.max_epochs=3", "--log.maps_every=1"]
        if number == signal.SIGINT:
            assert main(command) == 130
        else:
            with pytest.raises(SystemExit) as end:
                main(command)
            assert end.value.code == 128 + number
    finally:
        signal.signal(signal.SIGINT, handler)
    assert f"cv-attention fit --resume {untested}" in capfd.readouterr().err
    assert "test" not in json.loads((untested / "summary.json").read_text())


def test_an_export_is_not_resumed_through_a_link(tmp_path):
    mine, out = tmp_path / "mine", tmp_path / "out"
    mine.mkdir()
    (mine / "000000.jsonl").write_text("mine")
    out.mkdir()
    (out / "shards").symlink_to(mine)
    with pytest.raises(ValueError, match=r"shards is a link to .*mine, outside of .*out"):
        folder.begin(out, {}, [], SaliencyExport(), overwrite=True)
    assert (mine / "000000.jsonl").read_text() == "mine"
