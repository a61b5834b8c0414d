"""One of the processes that `fit` starts by itself under ``ddp`` ends in the test, where nothing needs to be saved."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, signal, sys
from cv_attention.cli import main
from tests.training.processes import End
if "HOW" in os.environ:
    End("test", 0, signal.Signals(int(os.environ["HOW"])), rank=1).arm()
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.long
@pytest.mark.parametrize(("how", "expected", "words"), [
    (signal.SIGTERM, 143, "stopped by SIGTERM in the test; resume with: cv-attention fit --resume "),
    (signal.SIGKILL, 1, "error: process 1 was ended by SIGKILL; restart all processes with: cv-attention "),
])  # fmt: skip
def test_a_process_that_ends_in_the_test_is_named_and_the_run_is_finished_later(
    how, expected, words, tmp_path, tiny_options
):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    def fit(**environment: str) -> subprocess.CompletedProcess:
        options = [*tiny_options, "--log.wandb=disabled", f"--log.root={tmp_path}", "--log.name=run", "--resume=auto"]
        command = [sys.executable, str(script), "fit", *options, "--trainer.strategy=ddp", "--trainer.devices=2"]
        everything = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1", **environment}
        return subprocess.run(command, env=everything, capture_output=True, text=True, timeout=240)

    ended = fit(HOW=str(int(how)))
    assert ended.returncode == expected, ended.stderr
    assert ended.stderr.count(words) == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    resumed = fit()
    assert resumed.returncode == 0, resumed.stderr
    assert (tmp_path / "run/report/index.html").is_file()
