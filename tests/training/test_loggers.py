"""What wandb and TensorBoard record of a run in addition to its curves."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cv_attention.cli import main
from cv_attention.config import Experiment, Log, Model
from cv_attention.training.recording import loggers


@pytest.fixture(scope="module")
def run(tiny_options, tmp_path_factory) -> Path:
    """A run of two stretches: one epoch, and one more after it was resumed."""
    root = tmp_path_factory.mktemp("loggers")
    options = [*tiny_options, "--log.maps_every=0", "--log.tensorboard=true", "--trainer.max_epochs=1"]
    options += [f"--log.root={root}", "--log.name=run", "--log.group=trial", "--log.tags=[first, small]"]
    assert main(["fit", *options]) == 0
    time.sleep(1.1)  # wandb names its folders by the second
    assert main(["fit", "--resume", str(root / "run"), "--trainer.max_epochs=2"]) == 0
    return root / "run"


def records(file: Path) -> Iterator[Any]:
    """Reads what wandb wrote offline: a log of protocol buffers in blocks of 32 KiB, as LevelDB writes it."""
    from wandb.proto import wandb_internal_pb2

    content, at, parts = file.read_bytes(), 7, b""
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + 7])
        parts += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record: Any = wandb_internal_pb2.Record()  # pyright: ignore[reportAttributeAccessIssue]
            record.ParseFromString(parts)
            yield record
            parts = b""


def stretches(run: Path) -> list[list[Any]]:
    return [whole(file) for file in sorted(run.glob("wandb/offline-run-*/run-*.wandb"))]


def whole(file: Path, seconds: float = 20) -> list[Any]:
    """Reads a file to the record of its run's exit, which wandb's own process may still be writing."""
    end = time.monotonic() + seconds
    while True:
        found = list(records(file))
        if any(record.HasField("exit") for record in found) or time.monotonic() > end:
            return found
        time.sleep(0.1)


def test_wandb_gets_the_configuration_group_and_tags(run):
    for number, found in enumerate(stretches(run), 1):
        [about] = [record.run for record in found if record.WhichOneof("record_type") == "run"][:1]
        config = {item.key: json.loads(item.value_json) for item in about.config.update if item.key != "_wandb"}
        expected = yaml.safe_load((run / "config.yaml").read_text())
        expected["trainer"]["max_epochs"] = number
        assert config == expected
        assert about.run_group == "trial"
        assert list(about.tags) == ["first", "small"]
        assert about.display_name == "run"
        assert about.project == "cv_attention"


def test_a_resumed_run_is_one_run_in_wandb(run):
    first, second = stretches(run)
    ids = {record.run.run_id for part in (first, second) for record in part if record.HasField("run")}
    assert ids == {(run / "wandb/id").read_text().strip()}
    steps = []
    for part in (first, second):
        history = [
            {i.key or i.nested_key[0]: i.value_json for i in r.history.item} for r in part if r.HasField("history")
        ]
        steps.append([int(row["trainer/global_step"]) for row in history if "train_loss_epoch" in row])
        assert any("train_accuracy" in row for row in history)
    assert steps == [[2], [5]]


@pytest.mark.long
def test_a_run_that_failed_is_closed_in_wandb_and_the_next_one_is_its_own(tiny_options, tmp_path):
    options = [*tiny_options, "--log.maps_every=0", f"--log.root={tmp_path}", "--trainer.max_epochs=1"]
    assert main(["fit", *options, "--log.name=failed", "--optimizer.lr=1e30"]) == 1
    [failed] = stretches(tmp_path / "failed")
    assert [record.exit.exit_code for record in failed if record.HasField("exit")] == [1]
    assert main(["fit", *options, "--log.name=next"]) == 0
    [after] = stretches(tmp_path / "next")
    ids = {record.run.run_id for record in after if record.HasField("run")}
    assert ids == {(tmp_path / "next/wandb/id").read_text().strip()}
    assert [record.exit.exit_code for record in after if record.HasField("exit")] == [0]


def test_a_wandb_run_of_the_caller_stays_open(tiny_options, tmp_path):
    import wandb

    with wandb.init(mode="offline", dir=tmp_path, project="theirs", settings=wandb.Settings(silent=True)) as theirs:
        options = [f"--log.root={tmp_path}", "--log.name=run", "--log.maps_every=0", "--trainer.max_epochs=1"]
        with pytest.warns(UserWarning, match="already in progress"):
            assert main(["fit", *tiny_options, *options]) == 0
        assert wandb.run is theirs
        theirs.log({"still": 1})
        assert theirs.summary["test_accuracy"] >= 0


def test_no_path_of_the_machine_goes_to_wandb_but_those_typed(run):
    import sys

    for file in run.glob("wandb/offline-run-*/run-*.wandb"):
        content = file.read_bytes().replace(str(run.parent).encode(), b"")  # the typed log.root
        for path in (sys.prefix, sys.executable, str(Path(__file__).parents[2]), str(Path.home())):
            assert path.encode() not in content, path


def test_tensorboard_has_hyperparameters_with_the_final_figures(run):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import plugin_data_pb2  # protocol buffers, whose classes come at run time

    events = EventAccumulator(str(run / "tensorboard/1"))
    events.Reload()
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    plugin_data: Any = plugin_data_pb2
    started = plugin_data.HParamsPluginData.FromString(content).session_start_info.hparams
    assert started["optimizer/lr"].number_value == 0.05
    assert started["trainer/max_epochs"].number_value == 2
    assert started["model/backbone"].string_value == "resnet20"
    summary = json.loads((run / "summary.json").read_text())["test"]
    for name, value in summary.items():
        assert events.Scalars(f"hp/test_{name}")[-1].value == pytest.approx(value, rel=1e-6)
    written = yaml.safe_load((run / "tensorboard/0/hparams.yaml").read_text())
    assert written["optimizer"]["lr"] == 0.05
    assert "log" not in written


def test_seeds_of_one_recipe_share_a_group():
    names = {Experiment(seed=seed, model=Model(block="se")).group() for seed in range(3)}
    assert names == {"cluttered_digits-resnet20-se"}
    assert Experiment(log=Log(name="mine")).group() == "cluttered_digits-resnet20-plain"
    assert Experiment(log=Log(group="ours")).group() == "ours"


@pytest.mark.parametrize("mode", ["online", "offline", "disabled"])
def test_a_missing_key_is_said_before_the_training(mode, tmp_path, monkeypatch):
    """wandb is reached while the loggers are made where the run is online, and only there."""
    import wandb

    reached = []

    def start(logger):
        reached.append(logger)
        raise wandb.Error("api_key not configured")

    monkeypatch.setattr(loggers.WandbLogger, "experiment", property(start))
    experiment = Experiment(log=Log(wandb=mode))
    if mode == "online":
        with pytest.raises(
            ValueError, match=r"log\.wandb is online: api_key not configured; log in with `wandb login`"
        ):
            loggers.create_loggers(experiment, tmp_path, "0")
    else:
        made = loggers.create_loggers(experiment, tmp_path, "0")
        assert [isinstance(one, loggers.WandbLogger) for one in made] == [False, True][: 1 + (mode == "offline")]
    assert len(reached) == (mode == "online")
