"""What signals and Ctrl-C do to whole processes, to scripts and to callers in Python."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cv_attention import training
from cv_attention.config import Data, Experiment, Log, Model, Optimizer, Trainer
from cv_attention.training.stopping.ending import ending_at_once, raising_keyboard_interrupt
from cv_attention.training.stopping.interruption import Interruption, Terminated
from tests.quick import quick_only

REPOSITORY = Path(__file__).parents[2]
HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}


def start(command: list[str]) -> subprocess.Popen:
    """Starts a process in a group of its own, in which SIGINT is not ignored, as it is in a shell's background."""
    return subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def wait_for(condition, process: subprocess.Popen, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, "the process never came so far"
        time.sleep(0.02)


@pytest.mark.long
def test_ctrl_c_ends_a_shells_loop(tmp_path, tiny_options):
    options = " ".join(f"'{option}'" for option in [*tiny_options, "--trainer.max_epochs=99", f"--log.root={tmp_path}"])
    fit = f"{sys.executable} -m cv_attention.cli fit {options} --log.wandb=disabled --log.maps_every=0"
    shell = start(["bash", "-c", f"for s in 1 2 3; do {fit} --log.name=run-$s; echo over-$s; done; echo all"])
    wait_for((tmp_path / "run-1/checkpoints/last.ckpt").is_file, shell)
    os.killpg(shell.pid, signal.SIGINT)
    said, _ = shell.communicate(timeout=60)
    assert shell.returncode == -signal.SIGINT, said
    assert f"resume with: cv-attention fit --resume {tmp_path}/run-1\n" in said
    assert "over-1" not in said
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["run-1"]


def test_ctrl_c_ends_a_shells_loop_over_commands_that_save_nothing():
    command = f"{sys.executable} -m cv_attention.cli plan timm/resnet50 --block se"  # takes seconds
    shell = start(["bash", "-c", f"for s in 1 2; do echo begin $s; {command}; done; echo all"])
    assert shell.stdout is not None
    assert shell.stdout.readline() == "begin 1\n"
    time.sleep(0.7)  # it imports torch
    os.killpg(shell.pid, signal.SIGINT)
    said, _ = shell.communicate(timeout=30)
    assert shell.returncode == -signal.SIGINT, said
    assert said.strip() == "cv-attention: interrupted"


@pytest.mark.parametrize("where", ["import", "work"])
def test_ctrl_c_is_no_exception_within_an_import(tmp_path, where):
    """Compiled modules would abort, or turn the exception into an ImportError, as the module here does."""
    (tmp_path / "compiled.py").write_text(
        "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\nexcept KeyboardInterrupt:\n"
        "    raise ImportError('it is installed incorrectly') from None\n"
    )
    work = {"import": "import compiled", "work": "exec(compile(open('compiled.py').read(), 'compiled.py', 'exec'))"}
    code = f"from cv_attention.cli import interrupting\ninterrupting.end_imports_at_once()\n{work[where]}\nprint('all')"
    process = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    if where == "import":
        assert process.returncode == -signal.SIGINT, process.stderr
        assert (process.stdout, process.stderr) == ("", "cv-attention: interrupted\n")
    else:
        assert process.returncode == 1, process.stderr
        assert "ImportError: it is installed incorrectly" in process.stderr


def test_ctrl_c_stays_ignored_where_it_is():
    code = (
        "import signal\nfrom cv_attention.cli import interrupting\ninterrupting.end_imports_at_once()\n"
        "print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    )
    ignoring = lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)  # noqa: E731
    said = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, preexec_fn=ignoring
    )
    assert said.stdout == "True\n", said.stderr


SCRIPT = """
from cv_attention import training
from cv_attention.config import Data, Experiment, Log, Model, Trainer
resize = [{{"Resize": {{"height": 32, "width": 32}}}}]
prepared = training.prepare(Experiment(
    data=Data(name="folder", root="{root}", batch_size=4, workers=2, train_transforms=resize, eval_transforms=resize),
    model=Model(options={{"width": 4}}), log=Log(root="{root}/runs", name="run", wandb="disabled", maps_every=0),
    trainer=Trainer(max_epochs=999, accelerator="cpu", precision="32-true", extra={{"enable_progress_bar": False}})))
training.fit(prepared)
"""


@pytest.fixture
def script(tmp_path) -> Path:
    """A script that trains at module level on 24 images, with two processes that load."""
    random = np.random.default_rng(0)
    for split, count in {"train": 6, "val": 3, "test": 3}.items():
        for name in "ab":
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / split / name / f"{number}.png")
    (tmp_path / "script.py").write_text(SCRIPT.format(root=tmp_path))
    return tmp_path / "script.py"


@pytest.mark.long
def test_a_script_with_workers_ends_when_it_is_told_to(script):
    """Its loaders' processes ignore SIGTERM, and Python would wait for them forever."""
    process = start([sys.executable, str(script)])
    run = script.with_name("runs") / "run"
    wait_for((run / "checkpoints/last.ckpt").is_file, process)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=25)
    assert process.returncode == 143, said
    assert said.count("stopped by SIGTERM after step ") == 1
    assert "Traceback" not in said
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 0)  # processes of its group that are left
        time.sleep(2)
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)


def experiment(root: Path, **trainer) -> Experiment:
    digits = {"train": 20, "val": 10, "test": 10, "canvas": 32, "digit": 16, "clutter": 0}
    made = Experiment(
        data=Data(batch_size=10),
        model=Model(options={"width": 4}),
        optimizer=Optimizer(lr=0.01),
        trainer=Trainer(accelerator="cpu", precision="32-true", extra={"enable_progress_bar": False}, **trainer),
        log=Log(root=str(root), name="run", wandb="disabled", maps_every=0, probes=0),
    )
    for name, value in digits.items():
        setattr(made.data.digits, name, value)
    return made


def handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in (*HEARD, signal.SIGCHLD)}


@pytest.mark.parametrize(
    ("place", "number"),
    quick_only(
        [("training_step", signal.SIGINT), ("test_step", signal.SIGTERM)],
        [("training_step", signal.SIGINT), ("test_step", signal.SIGINT), ("test_step", signal.SIGTERM)],
    ),
)
def test_callers_in_python_get_an_exception_and_their_handlers_back(place, number, tmp_path, monkeypatch):
    prepared = training.prepare(experiment(tmp_path, max_epochs=2))
    original, before = getattr(training.Classifier, place), handlers()
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a notebook

    def step(*arguments):
        os.kill(os.getpid(), number)
        return original(*arguments)

    monkeypatch.setattr(training.Classifier, place, step)
    try:
        kind = KeyboardInterrupt if number == signal.SIGINT else Terminated
        with pytest.raises(kind) as raised:
            training.fit(prepared)
        assert handlers() == before | {signal.SIGINT: signal.default_int_handler}
    finally:
        signal.signal(signal.SIGINT, before[signal.SIGINT])
    assert number == signal.SIGTERM or "resume with: cv-attention fit --resume" in str(raised.value)
    monkeypatch.undo()
    again = training.fit(training.prepare(experiment(tmp_path, max_epochs=2), prepared.run))
    assert (again / "report/index.html").is_file()


def test_a_thread_can_train(tmp_path):
    """Only the main thread may handle signals."""
    prepared, ended = training.prepare(experiment(tmp_path, max_epochs=1)), []
    thread = threading.Thread(target=lambda: ended.append(training.fit(prepared)))
    before = handlers()
    thread.start()
    thread.join(60)
    assert ended == [prepared.run]
    assert handlers() == before


def test_a_second_signal_needs_nobody():
    before, meanwhile = signal.getsignal(signal.SIGTERM), []

    def work():
        with ending_at_once(lambda: None):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                meanwhile.append(signal.getsignal(signal.SIGTERM))

    with pytest.raises(Terminated):
        work()
    assert meanwhile == [signal.SIG_DFL]
    assert signal.getsignal(signal.SIGTERM) is before


def test_ignored_signals_stay_ignored():
    """A hangup under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        interruption = Interruption()
        with ending_at_once(lambda: None):
            interruption.listen()
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            interruption.stop_listening()
    finally:
        signal.signal(signal.SIGHUP, before)


def as_lightning_does():
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.exit(1)


def test_what_lightning_makes_of_ctrl_c_is_a_keyboard_interrupt_again():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as raised, raising_keyboard_interrupt(lambda: "; words"):
        as_lightning_does()
    assert str(raised.value) == "stopped by SIGINT; words"
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(SystemExit), raising_keyboard_interrupt(lambda: "; words"):
        sys.exit(3)
