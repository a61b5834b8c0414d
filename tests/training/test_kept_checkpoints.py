"""What ``log.keep`` leaves of a finished run, and runs whose epochs are never validated."""

import json

import pytest
import torch

from cv_attention import training
from cv_attention.cli import main
from tests.quick import quick_first

QUICK = ["--log.wandb=disabled", "--log.maps_every=0"]
KEPT = {
    "all": {"best.ckpt", "last.ckpt", "previous.ckpt"},
    "best": {"best.ckpt"},
    "weights": set(),
}


@pytest.mark.parametrize("keep", ["best", *(pytest.param(keep, marks=pytest.mark.long) for keep in ("all", "weights"))])
def test_a_finished_run_keeps_what_was_asked_for(keep, tiny_options, tmp_path, monkeypatch, capsys):
    from cv_attention import report

    run, during = tmp_path / "run", set()
    original = report.build

    def build(*runs):
        during.update(path.name for path in run.glob("checkpoints/*"))
        return original(*runs)

    monkeypatch.setattr(report, "build", build)
    options = [*tiny_options, *QUICK, f"--log.keep={keep}", f"--log.root={tmp_path}", "--log.name=run"]
    assert main(["fit", *options]) == 0
    assert during == KEPT["all"]  # nothing goes before everything is done
    assert {path.name for path in run.glob("checkpoints/*")} == KEPT[keep]
    assert (run / "weights.safetensors").is_file()
    summary = json.loads((run / "summary.json").read_text())
    assert training.evaluate(training.find_checkpoint(run)) == summary["test"]
    capsys.readouterr()
    code = main(["fit", "--resume", str(run), "--trainer.max_epochs=3"])
    said = capsys.readouterr().err
    if keep == "all":
        assert code == 0
        return
    assert code == 2
    assert said == f"cv-attention: error: {run} has finished, and log.keep left no last.ckpt to resume from\n"
    assert main(["fit", *options, "--resume=auto"]) == 0
    assert "has already finished its" in capsys.readouterr().err
    assert main(["fit", *options, "--resume=auto", "--trainer.max_epochs=3"]) == 0
    assert "and log.keep left no last.ckpt; starting a new run" in capsys.readouterr().err


@pytest.mark.parametrize(
    "extra",
    quick_first(["{limit_val_batches: 0, enable_progress_bar: false}", "{max_steps: 2, enable_progress_bar: false}"]),
)
def test_without_a_validation_the_last_epoch_is_tested(extra, tiny_options, tmp_path, capsys):
    options = [option for option in tiny_options if "trainer.extra" not in option]
    options += [*QUICK, f"--trainer.extra={extra}", f"--log.root={tmp_path}", "--log.name=run"]
    assert main(["fit", *options]) == 0
    assert "no epoch was validated: the last one is tested and saved" in capsys.readouterr().out
    best, last = (torch.load(tmp_path / f"run/checkpoints/{name}.ckpt", weights_only=True) for name in ("best", "last"))
    assert best["global_step"] == last["global_step"]
    assert json.loads((tmp_path / "run/summary.json").read_text())["test"]["accuracy"] >= 0


def test_a_training_without_an_epoch_is_one_line(tiny_options, tmp_path, capsys):
    options = [option for option in tiny_options if "trainer.extra" not in option]
    options += [*QUICK, "--trainer.extra={max_time: '00:00:00:00', enable_progress_bar: false}"]
    assert main(["fit", *options, f"--log.root={tmp_path}", "--log.name=run"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("cv-attention: error: the training ended before its first epoch")
    assert said.count("\n") == 1
