"""Rows of metrics.csv: those of Lightning's logger, and none is lost or doubled where writing is interrupted."""

import csv
import os
import signal
from pathlib import Path

import pytest
from lightning.pytorch.loggers import CSVLogger

from cv_attention.training.recording import metrics_file
from cv_attention.training.recording.metrics_file import MetricsLogger

LOGGED = [
    (0, {"train_loss": 2.5, "epoch": 0}),
    (1, {"train_loss": 2.25, "epoch": 0}),
    (1, {"val_loss": 2.0, "val_accuracy": 0.5, "epoch": 0}),
    (2, {"train_loss": 1.5, "epoch": 1}),
    (3, {"val_accuracy": 0.75, "val_loss": 1.0, "epoch": 1}),
    (3, {"test_accuracy": 0.7, "epoch": 1, "name, with comma": 1.0}),
]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def log(logger: CSVLogger, *, end: str = "success") -> None:
    for step, values in LOGGED:
        logger.log_metrics(dict(values), step)
        logger.save()
    logger.finalize(end)


def test_the_file_is_that_of_lightnings_logger(tmp_path):
    ours = MetricsLogger(tmp_path, name="ours", version="0", flush_logs_every_n_steps=2)
    theirs = CSVLogger(tmp_path, name="theirs", version="0", flush_logs_every_n_steps=2)
    log(ours)
    log(theirs)
    assert (tmp_path / "ours/0/metrics.csv").read_bytes() == (tmp_path / "theirs/0/metrics.csv").read_bytes()


@pytest.mark.parametrize("where", ["writing a file", "writing rows", "having written rows"])
@pytest.mark.parametrize("call", range(1, 4))
def test_an_interrupted_save_loses_and_doubles_nothing(where, call, tmp_path, monkeypatch):
    """As where a signal's handler raises; Lightning then calls finalize."""
    count = iter(range(1, 100))

    def strike(original):
        def interrupted(*arguments, **keywords):
            result = original(*arguments, **keywords) if where == "having written rows" else None
            if next(count) == call:
                raise KeyboardInterrupt
            return original(*arguments, **keywords) if result is None else result

        return interrupted

    logger = MetricsLogger(tmp_path, name="metrics", version="0", flush_logs_every_n_steps=2)
    name = "write_bytes" if where == "writing a file" else "_lines"
    with monkeypatch.context() as patch:
        patch.setattr(metrics_file, name, strike(getattr(metrics_file, name)))
        with pytest.raises(KeyboardInterrupt):
            log(logger)
    done = len(logger.experiment.metrics)
    logger.finalize("failed")
    written = rows(tmp_path / "metrics/0/metrics.csv")
    expected = [
        {name: str(value) for name, value in {**values, "step": step}.items()} for step, values in LOGGED[:done]
    ]
    assert [{name: text for name, text in row.items() if text} for row in written] == expected


def test_rows_cut_short_by_an_interrupted_save_are_written_whole(tmp_path):
    logger = MetricsLogger(tmp_path, name="metrics", version="0", flush_logs_every_n_steps=100)
    path = tmp_path / "metrics/0/metrics.csv"
    logger.log_metrics({"loss": 1.0}, 0)
    logger.save()
    with path.open("a") as file:
        file.write("0.5")  # what a save had written when a signal came
    logger.log_metrics({"loss": 0.5}, 1)
    logger.save()
    assert path.read_bytes() == b"loss,step\r\n1.0,0\r\n0.5,1\r\n"


def test_a_file_that_was_removed_is_written_again(tmp_path):
    logger = MetricsLogger(tmp_path, name="metrics", version="0")
    path = tmp_path / "metrics/0/metrics.csv"
    for step in range(3):
        logger.log_metrics({"loss": 0.5}, step)
        logger.save()
        if step == 1:
            path.unlink()
    assert path.read_bytes() == b"loss,step\r\n0.5,0\r\n0.5,1\r\n0.5,2\r\n"


def test_a_process_killed_while_a_new_metric_is_logged_keeps_its_rows(tmp_path, monkeypatch):
    child = os.fork()
    if not child:
        try:
            logger = MetricsLogger(tmp_path, name="metrics", version="0")
            for step, values in LOGGED[:-1]:
                logger.log_metrics(dict(values), step)
                logger.save()
            replace = Path.replace

            def killed(*arguments):
                os.kill(os.getpid(), signal.SIGKILL)
                return replace(*arguments)

            monkeypatch.setattr(Path, "replace", killed)
            logger.log_metrics(dict(LOGGED[-1][1]), 3)
            logger.save()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert len(rows(tmp_path / "metrics/0/metrics.csv")) == len(LOGGED) - 1
