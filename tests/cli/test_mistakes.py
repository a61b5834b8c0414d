"""Mistakes at the keyboard: one line with the mistake and the accepted values, exit code 2, no traceback."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cv_attention.cli import main
from cv_attention.config import Model, Trainer
from cv_attention.suggest import suggest
from cv_attention.training.devices import hardware
from cv_attention.training.tasks.network import build_network
from tests.quick import quick_first, quick_only

TINY = ["--data.digits.train=20", "--data.digits.val=10", "--data.digits.test=10", "--log.wandb=disabled"]

# arguments -> what the line must contain
MISTAKES = {
    "no such command": (["fitt"], ["fitt", "fit"]),
    "option": (["fit", "--model.blok", "cbam"], ["--model.blok;", "'--model.block'"]),
    "option of a command": (["plan", "resnet20", "--blok", "se"], ["--blok;", "'--block'"]),
    "option with hyphens": (["saliency", "--batch-size", "2"], ["--batch-size;", "'--batch_size'"]),
    "section": (["fit", "--modell.block", "cbam"], ["modell.block", "model.block"]),
    "type": (["fit", "--optimizer.lr", "fast"], ["optimizer.lr", "float", "fast"]),
    "union": (["fit", "--data.subset.per_class", "few"], ["data.subset.per_class", "int", "null", "few"]),
    "choice": (["fit", "--data.name", "cifar"], ["data.name", "cifar10", "folder"]),
    "left over": (["fit", "cbam"], ["cbam"]),
    "config file": (["fit", "--config", "nowhere.yaml"], ["nowhere.yaml"]),
    "run to resume": (["fit", "--resume", "runs/nowhere"], ["runs/nowhere"]),
    "run to test": (["test", "runs/nowhere"], ["runs/nowhere"]),
    "run to report": (["report", "runs/nowhere"], ["runs/nowhere"]),
    "block": (["fit", *TINY, "--model.block", "cbm"], ["cbm", "cbam"]),
    "block option": (["fit", *TINY, "--model.block", "{name: se, reducton: 4}"], ["reducton", "reduction"]),
    "block class": (["fit", *TINY, "--model.block", "{class_path: nowhere.Block}"], ["nowhere"]),
    "backbone": (["fit", *TINY, "--model.backbone", "resnt20"], ["resnt20", "resnet20"]),
    "site": (["fit", *TINY, "--model.block", "se", "--model.at", "layr1"], ["layr1", "layer1"]),
    "optimizer": (["fit", *TINY, "--optimizer.name", "sdg"], ["sdg", "SGD"]),
    "schedule": (["fit", *TINY, "--optimizer.schedule", "cosin"], ["cosin", "cosine"]),
    "trainer argument": (["fit", *TINY, "--trainer.extra", "{limit_trian_batches: 2}"], ["limit_train_batches"]),
    "wandb without a key": (["fit", *TINY, "--log.wandb", "online"], ["log.wandb", "wandb login", "offline"]),
    "precision": (["fit", *TINY, "--trainer.precision", "12-mixed"], ["12-mixed", "bf16-mixed"]),
    "strategy": (["fit", *TINY, "--trainer.strategy", "dpp"], ["unknown strategy dpp", "did you mean", "'ddp'"]),
    "transform": (["fit", *TINY, "--data.train_transforms", "[HorizontalFlop]"], ["HorizontalFlip"]),
    "transform argument": (["fit", *TINY, "--data.train_transforms", "[{HorizontalFlip: {q: 1}}]"], ["q", "p"]),
    "data root": (["fit", "--data.name", "folder", "--data.root", "nowhere"], ["nowhere"]),
    "root without effect": (["fit", "--data.root", "photos"], ["photos", "set data.name, such as folder or table"]),
    "plan of nothing": (["plan"], ["missing", "MODEL (Backbone", "NAME)", "plan --help"]),
    "plan": (["plan", "resnet20", "--block", "cbm"], ["cbm", "cbam"]),
    "shape": (["blocks", "--shape", "64x56"], ["64x56", "64x56x56"]),
    "catalogue": (["blocks", "cbm"], ["cbm", "cbam", "lists all"]),
    "near config file": (["fit", "--config", "configs/digit.yaml"], ["configs/digit.yaml", "none are available"]),
    "accelerator": (["fit", *TINY, "--trainer.accelerator", "gpus"], ["unknown accelerator gpus", "'gpu'"]),
    "optimizer option": (
        ["fit", *TINY, "--optimizer.options", "{momentom: 0.8}"],
        ["optimizer.options: sgd has no option momentom", "'momentum'"],
    ),
    "torch's optimizer option": (
        ["fit", *TINY, "--optimizer.name", "SGD", "--optimizer.options", "{momentom: 0.8}"],
        ["SGD has no option momentom", "'momentum'"],
    ),
    "schedule option": (
        ["fit", *TINY, "--optimizer.schedule_options", "{decay_rat: 0.8}"],
        ["optimizer.schedule_options: cosine has no option decay_rat", "'decay_rate'"],
    ),
    "saliency that the network cannot have": (
        ["fit", *TINY, "--log.saliency", "[grad_cam, attention_rollout]"],
        ["log.saliency: attention_rollout does not work with this network", "CifarResNet"],
    ),
    "validation that never comes": (
        ["fit", *TINY, "--trainer.extra", "{val_check_interval: 100}", "--data.batch_size=10"],
        ["trainer.extra: val_check_interval is 100, but an epoch has 2 batches"],
    ),
    "trainer argument with an option": (
        ["fit", *TINY, "--trainer.extra", "{max_epochs: 2}"],
        ["trainer.extra: max_epochs has an option of its own, trainer.max_epochs"],
    ),
    "explained checkpoint": (["saliency", "a.png", "--checkpoint", "runs/nowhere", "-o", "out"], ["runs/nowhere"]),
}


@pytest.mark.parametrize(("arguments", "words"), quick_first(MISTAKES.values(), 20), ids=MISTAKES)
def test_a_mistake_is_one_line(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)  # nobody's own key is used
    monkeypatch.setenv("NETRC", os.devnull)
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("cv-attention: error: ")
    assert printed.err.count("\n") == 1
    assert all(word in printed.err for word in words)
    assert list(tmp_path.iterdir()) == []  # nothing half-made is left behind


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["saliency", "a.png", "--checkpoint=x", "-o"], "folder"), (["evaluate-saliency", "x", "-o"], "folder"),
        (["report", "x", "-o"], "folder"), (["fit", "--log.root"], "folder"), (["export", "x", "-o"], "file"),
        (["plan", "resnet20", "--block=se", "--json"], "file"), (["compare", "x", "--json"], "file"),
        (["folds", "-o"], "file"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)  # fmt: skip
def test_a_place_that_cannot_be_written_to_is_told_before_anything_is_done(command, name, tmp_path, capsys):
    file, inside = tmp_path / "file", tmp_path / "file/inside"
    file.write_text("kept")
    wrong = {tmp_path: "it is a folder; name a file"} if name == "file" else {file: "it is a file; name a folder"}
    wrong |= {inside: f"folder not found: {file}" if name == "file" else f"{file} is a file, not a folder"}
    wrong |= {Path("/proc/x"): "/proc is not writable (No such file or directory)"}
    for place, why in wrong.items():
        assert main([*command, str(place)]) == 2
        assert capsys.readouterr().err == f"cv-attention: error: cannot write to {place}: {why}\n"
    assert file.read_text() == "kept"


MISSING = {
    "captum": (["saliency", "a.png", "--checkpoint=x", "-o=out", "--method=lime"], ["lime needs captum", "[captum]"]),
    "captum to judge": (["evaluate-saliency", "x", "-o=out", "--methods", "lime"], ["lime needs captum", "[captum]"]),
    "pyarrow": (
        ["saliency", "a.png", "--checkpoint=x", "-o=out", "--manifest=parquet"],
        ["needs pyarrow", "[parquet]"],
    ),
    "onnxscript": (["export", "x"], ["format onnx needs onnxscript", "[onnx]"]),
}


@pytest.mark.parametrize(("package", "arguments", "words"), [(name, *case) for name, case in MISSING.items()])
def test_a_missing_extra_is_one_line(package, arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, package.split()[0], None)  # what importing then does: ModuleNotFoundError
    assert main(arguments) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert all(word in printed for word in words)
    assert list(tmp_path.iterdir()) == []


# options -> what the line must say: of values out of their bounds, and of values that do not go together
SENSELESS = {
    "--seed=-1": "seed must be in [0, 4294967295], got -1",
    "--data.val_fraction=1": "data.val_fraction must be in (0, 1), got 1.0",
    "--data.mixup=-0.1": "data.mixup must be at least 0, got -0.1",
    "--data.subset.num_classes=1": "data.subset.num_classes must be at least 2 or null, got 1",
    "--data.fold=2": "data.fold is 2, but it needs data.split_file; cv-attention folds writes one",
    "--data.progressive={10: 32}": "data.progressive begins with epoch 10, which never comes: trainer.max_epochs is 10",
    "--optimizer.lr=0": "optimizer.lr must be above 0, got 0.0",
    "--optimizer.lr=.nan": "optimizer.lr must be above 0, got nan",
    "--optimizer.lr_scale.head=-1": "optimizer.lr_scale.head must be at least 0, got -1.0",
    "--optimizer.layer_decay=0": "optimizer.layer_decay must be in (0, 1], got 0.0",
    "--optimizer.label_smoothing=3": "optimizer.label_smoothing must be in [0, 1), got 3.0",
    "--optimizer.ema=1": "optimizer.ema must be in (0, 1) or null, got 1.0",
    "--trainer.max_epochs=0": "trainer.max_epochs must be in [1, 1000000], got 0",
    "--trainer.max_epochs=-3": "trainer.max_epochs must be in [1, 1000000], got -3",
    "--trainer.devices=0": "trainer.devices must be at least 1, got 0",
    "--trainer.accumulate_grad_batches=0": "trainer.accumulate_grad_batches must be at least 1, got 0",
    "--trainer.gradient_clip_val=-1": "trainer.gradient_clip_val must be above 0 or null, got -1.0",
    "--trainer.extra={check_val_every_n_epoch: 11}": (
        "trainer.extra: check_val_every_n_epoch is 11, but trainer.max_epochs is 10"
    ),
    "--trainer.extra={limit_test_batches: 0}": "trainer.extra: limit_test_batches is 0, so nothing would be tested",
    "--trainer.extra={limit_train_batches: 0.0}": "trainer.extra: limit_train_batches is 0.0, so nothing would be",
    "--trainer.extra={max_steps: 0}": "trainer.extra: max_steps is 0, so nothing would be trained",
    "--log.every_n_steps=0": "log.every_n_steps must be at least 1, got 0",
    "--log.probes=-3": "log.probes must be at least 0, got -3",
    "--log.name=../outside": "log.name must name a folder inside log.root (runs), got '../outside'",
    "--log.name=/outside": "log.name must name a folder inside log.root (runs), got '/outside'",
}


@pytest.mark.parametrize(("option", "says"), quick_first(SENSELESS.items(), 12))
def test_a_senseless_value_is_named_before_anything_is_built(option, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cv_attention.training.prepare", lambda *_: pytest.fail("something was built"))
    assert main(["fit", *TINY, option]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"cv-attention: error: {says}")
    assert printed.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_accelerator_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    with pytest.raises(ValueError, match=r"trainer.accelerator is gpu, but torch finds none .*; available: .*cpu"):
        hardware.check(Trainer(accelerator="gpu"))


def test_more_devices_than_there_are_start_nothing(monkeypatch):
    cores = os.cpu_count() or 1
    hardware.check(Trainer(accelerator="cpu", devices=cores))
    with pytest.raises(ValueError, match=rf"trainer.devices is 99, but this machine has {cores} CPU core"):
        hardware.check(Trainer(accelerator="cpu", devices=99))
    monkeypatch.setattr("lightning.pytorch.accelerators.CUDAAccelerator.is_available", lambda: True)
    monkeypatch.setattr("lightning.pytorch.accelerators.CUDAAccelerator.auto_device_count", lambda: 1)
    for accelerator in ("auto", "gpu", "cuda"):
        hardware.check(Trainer(accelerator=accelerator, devices=1))
        with pytest.raises(ValueError, match=r"trainer.devices is 2, but this machine has 1 CUDA device;"):
            hardware.check(Trainer(accelerator=accelerator, devices=2))


def test_weights_that_cannot_be_downloaded_are_one_line(monkeypatch):
    def refused(*_, **__):
        raise FileNotFoundError("An error happened while trying to locate the file.") from OSError("no route to host")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", refused)
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_url", refused)
    message = (
        r"^weights of timm/resnet18 could not be downloaded \(no route to host\); give .* --model.pretrained false$"
    )
    with pytest.raises(ValueError, match=message):
        build_network(Model(backbone="timm/resnet18", pretrained=True), 10, (32, 32))


def test_a_config_file_near_by_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/digits.yaml").touch()
    for wrong in ("configs/digit.yaml", "digits.yaml"):
        assert main(["fit", "--config", wrong]) == 2
        message = f"cv-attention: error: config: file not found: {wrong}; did you mean 'configs/digits.yaml'?\n"
        assert capsys.readouterr().err == message


@pytest.mark.parametrize(
    "content", ["data: [1, 2", "modle: {block: se}", "model: {blok: se}", "data: {digits: {trian: 3}}", "3"]
)
def test_a_wrong_file_is_one_line(content, tmp_path, capsys):
    file = tmp_path / "experiment.yaml"
    file.write_text(content)
    assert main(["fit", "--config", str(file)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_wrong_key_in_a_file_names_the_right_one(tmp_path, capsys):
    file = tmp_path / "experiment.yaml"
    file.write_text("model: {blok: se}")
    main(["fit", "--config", str(file)])
    assert "model.blok" in (printed := capsys.readouterr().err)
    assert "model.block" in printed


@pytest.mark.parametrize(
    "arguments",
    quick_only(
        [["fit", "--help"], ["fit", "--optimizer.lr", "0"]],
        [
            ["fit", "--help"],
            ["fit", "--model.blok", "se"],
            ["--help"],
            ["blocks", "cbm"],
            ["fit", "--optimizer.lr", "0"],
        ],
    ),
)
def test_help_and_mistakes_answer_without_slow_packages(arguments):
    code = (
        "import sys; from cv_attention.cli import main\n"
        "try: code = main(sys.argv[1:])\n"
        "except SystemExit as end: code = end.code\n"
        "print(sorted({'torch', 'scipy', 'lightning'} & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    assert done.stderr.endswith("[]\n"), done.stderr
    assert done.returncode == (0 if "--help" in arguments else 2)
    assert time.perf_counter() - start < 10  # 0.4 s on a quiet machine; torch alone takes 3


@pytest.mark.parametrize(
    ("wrong", "known", "hint"),
    [
        ("cbm", ["se", "cbam"], "; did you mean 'cbam'?"),
        ("Global-Context", ["global_context"], "; did you mean 'global_context'?"),
        ("zzz", ["se", "cbam"], "; expected one of se, cbam"),
        ("zzz", range(9), "; expected one of 0, 1, 2, 3, 4, 5, 6, 7, ..."),
        ("zzz", [], "; none are available"),
    ],
)
def test_a_hint_names_what_is_near_or_what_there_is(wrong, known, hint):
    assert suggest(wrong, known) == hint


def test_a_closed_pipe_ends_the_command_without_a_traceback():
    read, write = os.pipe()
    os.close(read)  # as `| head` does once it has its lines
    command = [sys.executable, "-m", "cv_attention.cli", "--help"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")
