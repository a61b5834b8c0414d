"""A run's split is opened in one way: data with other classes is refused by every command that takes some."""

from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from cv_attention.cli import main
from cv_attention.config import Data, Experiment, Log, Model, SaliencyExport, Trainer
from cv_attention.judging import evaluate_saliency
from cv_attention.saliency_export import export_saliency
from cv_attention.training import Classifier, DataFacts, fit, prepare
from cv_attention.training.checkpoint.sealing import sealed
from tests.quick import quick_first


def photographs(root: Path, classes: str) -> Path:
    for split in ("train", "test"):
        for name in classes.split():
            (root / split / name).mkdir(parents=True)
            for number in range(4):
                pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
                cv2.imwrite(str(root / split / name / f"{number}.png"), pixels)
    return root


OTHERS = {"another class": "ant cat", "one more": "ant bee cat", "another case": "Ant bee", "one in two": "ant bees"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    where = tmp_path_factory.mktemp("network")
    data = Data("folder", str(photographs(where / "data", "ant bee")), val_fraction=0.25, batch_size=4)
    experiment = Experiment(data=data, model=Model(options={"width": 4}, block="se"))
    facts = DataFacts(("ant", "bee"), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), (32, 32))
    state = Classifier(experiment, facts).state_dict()
    torch.save(
        sealed({"experiment": experiment.to_dict(), "facts": asdict(facts), "state_dict": state}), where / "a.ckpt"
    )
    return where / "a.ckpt"


@pytest.mark.parametrize("classes", quick_first(OTHERS.values(), 2), ids=OTHERS)
@pytest.mark.parametrize(
    "command",
    [
        ["test", "FILE", "--root=ROOT"],
        ["test", "FILE", "--data.root=ROOT"],
        ["evaluate-saliency", "FILE", "-o=OUT", "--device=cpu", "--root=ROOT"],
        *(
            ["saliency", "--checkpoint=FILE", f"--split={split}", "-o=OUT", "--root=ROOT"]
            for split in ("train", "test")
        ),
    ],
    ids=lambda command: " ".join(command[:1] + command[2:3]),
)
def test_other_classes_are_refused_in_one_line(command, classes, checkpoint, tmp_path, capsys):
    root = photographs(tmp_path / "other", classes)
    places = {"FILE": str(checkpoint), "ROOT": str(root), "OUT": str(tmp_path / "out")}
    for name, place in places.items():
        command = [part.replace(name, place) for part in command]
    assert main(command) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    expected = ", ".join(sorted(classes.split()))
    assert f"{root} has the classes {expected}; the network knows ant, bee" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "use",
    [
        lambda checkpoint, out: evaluate_saliency(checkpoint, split="tset"),
        lambda checkpoint, out: export_saliency(checkpoint, [], out, SaliencyExport(), split="tset"),
    ],
    ids=["judging", "export"],
)
def test_an_unknown_split_is_named(use, checkpoint, tmp_path):
    with pytest.raises(ValueError, match=r"^unknown split 'tset'; did you mean 'test'"):
        use(checkpoint, tmp_path / "out")


def test_resuming_with_other_classes_is_refused(tmp_path):
    data = Data("folder", str(photographs(tmp_path / "data", "ant bee")), val_fraction=0.25, batch_size=4)
    trainer = Trainer(max_epochs=1, accelerator="cpu", extra={"enable_progress_bar": False})
    log = Log(root=str(tmp_path / "runs"), wandb="disabled", probes=0)
    experiment = Experiment(data=data, model=Model(options={"width": 4}), trainer=trainer, log=log)
    run = fit(prepare(experiment))
    for number, classes in enumerate(["ant cat", "ant bee cat"]):
        root = str(photographs(tmp_path / str(number), classes))
        longer = replace(experiment, data=replace(data, root=root), trainer=replace(trainer, max_epochs=2))
        with pytest.raises(ValueError, match=rf"{root} has the classes ant, .*cat; the network knows ant, bee"):
            prepare(longer, run)
