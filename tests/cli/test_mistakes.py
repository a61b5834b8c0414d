"""Mistakes at the keyboard: one line that says what was wrong and what would be right, exit code 2, no traceback."""

import os
import subprocess
import sys
import time

import pytest

from cv_attention.cli import main
from cv_attention.suggest import suggest

TINY = ["--data.digits.train=20", "--data.digits.val=10", "--data.digits.test=10", "--log.wandb=disabled"]

# arguments -> what the line must contain
MISTAKES = {
    "no such command": (["fitt"], ["fitt", "fit"]),
    "option": (["fit", "--model.blok", "cbam"], ["model.blok", "model.block"]),
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
    "strategy": (["fit", *TINY, "--trainer.strategy", "dpp"], ["dpp", "ddp"]),
    "transform": (["fit", *TINY, "--data.train_transforms", "[HorizontalFlop]"], ["HorizontalFlip"]),
    "transform argument": (["fit", *TINY, "--data.train_transforms", "[{HorizontalFlip: {q: 1}}]"], ["q", "p"]),
    "data root": (["fit", "--data.name", "folder", "--data.root", "nowhere"], ["nowhere"]),
    "root without effect": (["fit", "--data.root", "photos"], ["photos", "folder"]),
    "plan without a block": (["plan", "resnet20"], ["missing", "--block (", "plan --help"]),
    "plan of nothing": (["plan"], ["MODEL (", "--block ("]),
    "plan": (["plan", "resnet20", "--block", "cbm"], ["cbm", "cbam"]),
    "shape": (["blocks", "--shape", "64x56"], ["64x56", "64x56x56"]),
    "catalogue": (["blocks", "cbm"], ["cbm", "cbam", "lists all"]),
    "explained checkpoint": (["saliency", "a.png", "--checkpoint", "runs/nowhere", "-o", "out"], ["runs/nowhere"]),
}


@pytest.mark.parametrize(("arguments", "words"), MISTAKES.values(), ids=MISTAKES)
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


@pytest.mark.parametrize("arguments", [["fit", "--help"], ["fit", "--model.blok", "se"], ["--help"], ["blocks", "cbm"]])
def test_help_and_mistakes_answer_without_torch(arguments):
    code = (
        "import sys; from cv_attention.cli import main\n"
        "try: code = main(sys.argv[1:])\n"
        "except SystemExit as end: code = end.code\n"
        "print('torch' in sys.modules, file=sys.stderr); sys.exit(code)"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    assert done.stderr.endswith("False\n"), done.stderr
    assert done.returncode == (0 if "--help" in arguments else 2)
    assert time.perf_counter() - start < 10  # 0.4 s on a quiet machine; torch alone takes 3


@pytest.mark.parametrize(
    ("wrong", "known", "hint"),
    [
        ("cbm", ["se", "cbam"], "; did you mean 'cbam'?"),
        ("Global-Context", ["global_context"], "; did you mean 'global_context'?"),
        ("zzz", ["se", "cbam"], "; there are se, cbam"),
        ("zzz", range(9), "; there are 0, 1, 2, 3, 4, 5, 6, 7, ..."),
        ("zzz", [], "; there are none"),
    ],
)
def test_a_hint_names_what_is_near_or_what_there_is(wrong, known, hint):
    assert suggest(wrong, known) == hint
