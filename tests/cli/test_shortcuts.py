"""What people type who come from timm, torchvision, ultralytics or Lightning is answered with the option here."""

import runpy

import pytest

from cv_attention.cli import main
from cv_attention.cli.parsing import experiment_parser, parse, to_experiment
from cv_attention.cli.shortcuts import _MEANT, SECTIONS, meant
from tests.quick import quick_first

# What is typed -> the option that the answer must name.
TYPED = {
    "--lr 0.1": "--optimizer.lr", "--lr=0.1": "--optimizer.lr", "--learning-rate 0.1": "--optimizer.lr",
    "--epochs 3": "--trainer.max_epochs", "--max_epochs 3": "--trainer.max_epochs", "epochs=3": "--trainer.max_epochs",
    "--bs 64": "--data.batch_size", "--batch-size 64": "--data.batch_size", "-b 64": "--data.batch_size",
    "--workers 2": "--data.workers", "-j8": "--data.workers", "--num_workers 2": "--data.workers",
    "--gpus 2": "--trainer.devices", "--devices 2": "--trainer.devices", "--device cuda": "--trainer.accelerator",
    "--wd 1e-4": "--optimizer.weight_decay", "--weight-decay 1e-4": "--optimizer.weight_decay",
    "--opt adamw": "--optimizer.name", "--optim adamw": "--optimizer.name", "--sched cosine": "--optimizer.schedule",
    "--momentum 0.9": "--optimizer.options",
    "--amp": "--trainer.precision bf16-mixed", "--model-ema": "--optimizer.ema", "--arch resnet50": "--model.backbone",
    "--pretrained": "--model.pretrained", "--data-path x": "--data.root", "--output-dir x": "--log.root",
    "--mixup 0.2": "--data.mixup", "--clip-grad 1": "--trainer.gradient_clip_val", "--block se": "--model.block",
    "--print-freq 10": "--log.every_n_steps", "--random-seed 1": "--seed", "--trainer.epochs 3": "--trainer.max_epochs",
    "--optimizer.learning_rate 1": "--optimizer.lr", "--imgsz 64": "--data.eval_transforms",
    "--limit_train_batches 2": "--trainer.extra '{limit_train_batches: N}'", "--modell.block se": "--model.block",
}  # fmt: skip


@pytest.mark.parametrize(("typed", "option"), quick_first(TYPED.items(), 15))
def test_an_option_of_another_program_is_answered_with_ours(typed, option, capsys):
    assert main(["fit", *typed.split()]) == 2
    wrong = typed.split()[0].partition("=")[0].rstrip("8")
    assert capsys.readouterr().err == f"cv-attention: error: unknown option {wrong}; use {option}\n"


def test_several_are_answered_at_once(capsys):
    assert main(["fit", "--lr", "0.1", "--seed", "3", "--epochs", "5"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "unknown option --lr; use --optimizer.lr; unknown option --epochs; use --trainer.max_epochs" in said


@pytest.mark.parametrize(
    ("line", "wrong", "right"),
    [
        ("lr: 0.1", "lr", "optimizer.lr"), ("epochs: 3", "epochs", "trainer.max_epochs"),
        ("batch-size: 3", "batch-size", "data.batch_size"), ("gpus: 2", "gpus", "trainer.devices"),
        ("optimizer: {learning_rate: 0.1}", "optimizer.learning_rate", "optimizer.lr"),
        ("trainer: {epochs: 3}", "trainer.epochs", "trainer.max_epochs"),
        ("data: {num_workers: 3}", "data.num_workers", "data.workers"),
    ],
)  # fmt: skip
def test_a_key_of_a_file_is_answered_alike(line, wrong, right, tmp_path, capsys):
    (tmp_path / "some.yaml").write_text(line + "\n")
    assert main(["fit", "--config", str(tmp_path / "some.yaml")]) == 2
    assert capsys.readouterr().err == f"cv-attention: error: unknown option {wrong}; use {right}\n"


@pytest.mark.parametrize(("section", "option"), SECTIONS.items())
def test_a_value_for_a_whole_section_is_answered(section, option, capsys):
    assert main(["fit", f"--{section}", "some"]) == 2
    said = capsys.readouterr().err
    assert said == f"cv-attention: error: {section} is a section of options, got some; did you mean '{option}'?\n"


def test_every_answer_is_an_option_and_none_is_answered_twice():
    known = {name.removeprefix("--") for a in experiment_parser("fit")._actions for name in a.option_strings}
    assert {option.split()[0] for option in (*_MEANT, *SECTIONS.values())} <= known | {"resume"}
    names = [name for names in _MEANT.values() for name in names.split()]
    assert sorted(names) == sorted(set(names))
    assert not set(names) & known


def test_a_name_in_several_sections_names_them_all_and_an_unknown_one_none():
    assert meant("--options", ["model.options", "optimizer.options", "seed"]) == ["model.options", "optimizer.options"]
    assert meant("--lr", ["log.name"]) == []  # another command, which has no such option
    assert meant("--zzz", ["optimizer.lr"]) == []


@pytest.mark.parametrize("form", [["--config", "{}"], ["--config={}"]])
def test_options_change_a_configuration_wherever_they_stand(form, tmp_path):
    for name, rate in (("one", 0.1), ("two", 0.2)):
        (tmp_path / f"{name}.yaml").write_text(f"seed: 3\noptimizer: {{lr: {rate}}}\n")
    one, two = ([part.format(tmp_path / f"{name}.yaml") for part in form] for name in ("one", "two"))
    parser = experiment_parser("fit")
    for arguments in (["--seed", "5", *one], [*one, "--seed", "5"], ["--seed=5", *two, *one]):
        read = to_experiment(parser, parse(parser, arguments))
        assert (read.seed, read.optimizer.lr) == (5, 0.1)
    assert to_experiment(parser, parse(parser, [*one, *two])).optimizer.lr == 0.2  # the last of several


def test_the_package_runs_as_the_command(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["cv-attention", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("cv_attention", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("cv-attention ")
