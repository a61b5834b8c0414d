"""A run that was killed at any step and resumed ends like one that was never interrupted, to the bit."""

import json
import random
import shutil
import signal
from pathlib import Path

import pytest
import torch

from cv_attention.training.stopping.interruption import Interruption
from tests.training.processes import End, assert_same, logged, train

EPOCHS, STEPS = 3, 6  # 60 images in batches of 10
CUT = random.Random(0)  # the steps at which runs are killed; other seeds give other steps


@pytest.fixture(scope="module")
def options(tiny_options):
    """A block that draws random numbers, augmentation, a checkpoint every two steps."""
    return [
        *tiny_options, "--data.batch_size=10",
        "--model.block={class_path: tests.training.noise.Noise}", "--model.at=stage",
        f"--trainer.max_epochs={EPOCHS}", "--data.train_transforms=[HorizontalFlip]", "--trainer.deterministic=true",
        "--log.wandb=disabled", "--log.checkpoint_every_n_steps=2", "--optimizer.options={momentum: 0.9}",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def fit(options, tmp_path_factory):
    root = tmp_path_factory.mktemp("interrupted")

    def fit(name: str, *more: str, end: End | None = None, processes: int = 1) -> tuple[int, Path, str]:
        said = root / f"{name}.txt"
        said.unlink(missing_ok=True)
        arguments = ["fit", *options, f"--log.root={root}", f"--log.name={name}", *more]
        code = train(arguments, said, end, processes)
        return code, root / name, said.read_text()

    return fit


@pytest.fixture(scope="module")
def whole(fit):
    code, run, said = fit("whole")
    assert code == 0, said
    assert [int(row["step"]) for row in logged(run) if "train_loss" in row] == list(range(1, EPOCHS * STEPS, 2))
    return run


def resume(fit, name: str, *more: str, processes: int = 1) -> str:
    code, _, said = fit(name, "--resume=auto", *more, processes=processes)
    assert code == 0, said
    return said


ENDS = {
    "killed in a step": End("step", CUT.randrange(4, EPOCHS * STEPS)),
    "terminated in a step": End("step", CUT.randrange(1, EPOCHS * STEPS), signal.SIGTERM),
    "terminated in the last step of an epoch": End("step", 2 * STEPS - 1, signal.SIGTERM),
    "Ctrl-C in a step": End("step", 7, signal.SIGINT),
    "terminated in a validation": End("validation", 3, signal.SIGTERM),
    "killed in a validation": End("validation", 4),
    "killed in the test": End("test", 1),
    "killed while writing": End("write", CUT.randrange(4, 10)),
    "the disk is full": End("step", CUT.randrange(4, EPOCHS * STEPS), "full"),
}
QUICK = ("killed in a step", "the disk is full")


@pytest.mark.parametrize(
    "end", [pytest.param(ENDS[name], id=name, marks=() if name in QUICK else pytest.mark.long) for name in ENDS]
)
def test_ends_like_a_run_that_was_never_interrupted(end, fit, whole):
    name = f"{end.place}-{end.at}-{end.how}"
    code, run, said = fit(name, end=end)
    assert code == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130, "full": 1}[end.how], said
    saved = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"]
    if end.how in (signal.SIGTERM, signal.SIGINT):
        assert f"stopped by {end.how.name} after step {saved}; resume with: cv-attention fit --resume {run}" in said
        assert end.place == "validation" or saved == end.at + 1
    if end.how == "full":
        assert said.strip().splitlines()[-1].startswith(f"cv-attention: error: {run}/checkpoints/")
        assert "could not be written: File too large; free some space, then: cv-attention fit --resume" in said
        assert "Traceback" not in said
    assert f"resume: {run}\n" in resume(fit, name)
    assert_same(run, whole)
    assert len(logged(run)) == len({(row["step"], *sorted(row)) for row in logged(run)}), "rows are doubled"


def test_a_second_ctrl_c_ends_at_once(fit):
    code, run, said = fit("twice", end=End("step", 3, signal.SIGINT, times=2))
    assert code == 130, said
    assert "press Ctrl-C again to end at once" in said
    assert f"stopped by SIGINT; resume with: cv-attention fit --resume {run}\n" in said
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 2  # that of every second step
    assert "Traceback" not in said


@pytest.mark.long
def test_ctrl_c_in_the_test_says_how_to_go_on(fit, whole):
    code, run, said = fit("tested", end=End("test", 1, signal.SIGINT))
    assert code == 130, said
    assert f"stopped by SIGINT; resume with: cv-attention fit --resume {run}\n" in said
    assert "Traceback" not in said
    resume(fit, "tested")
    assert_same(run, whole)


def test_ctrl_c_stays_ignored_in_a_background_job():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        interruption = Interruption()
        interruption.listen()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) == interruption._hear
        interruption.stop_listening()
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.long
def test_auto_names_the_run_that_has_no_checkpoint(fit):
    code, run, _ = fit("unsaved", end=End("step", 1))
    assert code == -9
    code, _, said = fit("unsaved", "--resume=auto", end=End("step", 1))
    assert code == -9
    assert f"resume: {run} has no checkpoint yet; starting a new run: {run}-2\n" in said


@pytest.mark.long
def test_survives_one_interruption_after_the_other(fit, whole):
    for cut in sorted(CUT.sample(range(3, EPOCHS * STEPS), 3)):
        code, run, said = fit("often", *(["--resume=auto"] if cut else []), end=End("step", cut))
        assert code == -9, said
    resume(fit, "often")
    assert_same(run, whole)


@pytest.mark.long
@pytest.mark.parametrize("damage", ["one bit", "cut short", "missing"])
def test_a_torn_checkpoint_is_noticed_and_the_one_before_used(damage, fit, whole):
    name = damage.replace(" ", "-")
    _, run, _ = fit(name, end=End("step", 9))
    last = run / "checkpoints/last.ckpt"
    content = bytearray(last.read_bytes())
    if damage == "missing":
        last.unlink()
    elif damage == "cut short":
        last.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 1
        last.write_bytes(content)
    said = resume(fit, name)
    assert (
        damage == "missing"
        or f"{last} is damaged and was renamed to last.ckpt.torn; using {last.with_name('previous.ckpt')}" in said
    )
    assert_same(run, whole)


@pytest.mark.long
def test_two_checkpoints_torn_is_an_error(fit):
    _, run, _ = fit("both", end=End("step", 9))
    for name in ("last", "previous"):
        (run / f"checkpoints/{name}.ckpt").write_bytes(b"")
    code, _, said = fit("both", "--resume", str(run))
    assert code == 2
    assert "no checkpoint to resume from" in said


@pytest.mark.long
def test_the_command_line_wins_over_the_checkpoint(fit, whole):
    _, run, _ = fit("changed", end=End("step", 9))
    said = resume(fit, "changed", "--optimizer.lr=0.02", "--log.probes=3")
    assert "resume: optimizer.lr: 0.05 -> 0.02\n" in said
    assert "resume: log.probes: 4 -> 3\n" in said
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["experiment"]["optimizer"]["lr"] == 0.02


def test_auto_skips_a_run_that_has_finished(fit, whole):
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    code, _, said = fit("whole", "--resume=auto")
    assert (code, said) == (0, f"resume: {whole} has already finished its {EPOCHS} epochs\n")
    assert not whole.with_name("whole-2").exists()
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before


@pytest.mark.long
def test_auto_starts_a_new_run_where_the_finished_one_is_another(fit, whole):
    code, _, said = fit("whole", "--resume=auto", "--trainer.max_epochs=1", "--optimizer.lr=0.01")
    assert code == 0, said
    assert (
        f"{whole} has finished with other values (optimizer.lr: 0.05 -> 0.01); starting a new run: {whole}-2\n" in said
    )
    again = whole.with_name("whole-2")
    assert json.loads((again / "summary.json").read_text())["test"]
    shutil.rmtree(again)


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_ended_while_the_report_is_built_it_gets_its_report(how, fit, whole):
    name = f"report-{int(how)}"
    code, run, said = fit(name, end=End("report", 0, how))
    assert code == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[how], said
    assert json.loads((run / "summary.json").read_text())["test"]
    assert not (run / "report").exists()
    if how != signal.SIGKILL:
        again = f"before the report was written; resume with: cv-attention fit --resume {run}\n"
        assert f"stopped by {how.name} {again}" in said
        assert "Traceback" not in said
    code, _, said = fit(name, "--resume", str(run)) if how == signal.SIGTERM else fit(name, "--resume=auto")
    assert code == 0, said
    assert "resume: trained and tested; the report is written\n" in said
    assert (run / "report/index.html").is_file()
    assert_same(run, whole)
    assert f"{run} has already finished" in fit(name, "--resume=auto")[2]


@pytest.mark.long
def test_it_says_from_where_it_goes_on(fit):
    _, run, _ = fit("where", end=End("step", 9, signal.SIGTERM))
    _, _, said = fit("where", "--resume", str(run), end=End("test", 0))
    assert f"resume: from {run}/checkpoints/last.ckpt, after step 10: in epoch 2 of {EPOCHS}\n" in said
    said = resume(fit, "where")
    assert f"last.ckpt, after step 18: all {EPOCHS} epochs are trained, the test is left\n" in said


@pytest.mark.parametrize(
    "number", [signal.SIGHUP, *(pytest.param(n, marks=pytest.mark.long) for n in (signal.SIGUSR2, signal.SIGXCPU))]
)
def test_other_signals_that_end_work_save_first(number, fit):
    code, run, said = fit(f"other-{int(number)}", end=End("step", 8, number))
    assert code == 128 + number, said
    assert f"stopped by {number.name} after step 9; resume with: cv-attention fit --resume {run}\n" in said


def test_a_signal_in_the_test_ends_with_one_line(fit):
    code, run, said = fit("in-test", end=End("test", 1, signal.SIGTERM))
    assert code == 143, said
    assert said.endswith(f"stopped by SIGTERM in the test; resume with: cv-attention fit --resume {run}\n")
    assert "Traceback" not in said


@pytest.mark.long
def test_auto_does_not_continue_another_model(fit):
    _, run, _ = fit("other", end=End("step", 5))
    code, _, said = fit("other", "--resume=auto", "--model.block=se", "--trainer.max_epochs=1")
    assert code == 0, said
    assert (run.parent / "other-2/summary.json").is_file()


@pytest.mark.long
@pytest.mark.parametrize("accumulate", [2])
def test_gradients_are_not_lost_while_they_accumulate(accumulate, fit):
    option = f"--trainer.accumulate_grad_batches={accumulate}"
    code, expected, said = fit("accumulated", option)
    assert code == 0, said
    code, run, said = fit("accumulating", option, end=End("step", 4, signal.SIGTERM))
    assert code == 143, said
    resume(fit, "accumulating", option)
    assert_same(run, expected)


@pytest.mark.parametrize("workers", [pytest.param(2, marks=pytest.mark.long)])
def test_workers_change_nothing(workers, fit, whole):
    for how in (signal.SIGKILL, signal.SIGTERM):
        name = f"workers-{int(how)}"
        fit(name, f"--data.workers={workers}", end=End("step", CUT.randrange(5, EPOCHS * STEPS), how))
        resume(fit, name, f"--data.workers={workers}")
        assert_same(whole.with_name(name), whole)


@pytest.mark.long
def test_two_processes(fit):
    parallel = ["--trainer.strategy=ddp", "--trainer.devices=2"]
    code, expected, said = fit("two", *parallel, processes=2)
    assert code == 0, said
    ends = [End("step", 8), End("step", 7, signal.SIGTERM), End("step", 9, signal.SIGTERM, rank=1),
            End("validation", 3, signal.SIGTERM, rank=1), End("step", 10, "full")]  # fmt: skip
    for end in ends:
        name = f"two-{end.place}-{end.at}"
        code, run, said = fit(name, *parallel, end=end, processes=2)
        assert code == {signal.SIGKILL: -9, signal.SIGTERM: 143, "full": 1}[end.how], said
        resume(fit, name, *parallel, processes=2)
        assert_same(run, expected)


@pytest.mark.long
@pytest.mark.parametrize(("how", "expected", "words"), [
    (signal.SIGTERM, 143, "stopped by SIGTERM after step "),
    (signal.SIGKILL, 1, "error: process 1 was ended by SIGKILL; restart all processes with: cv-attention"),
])  # fmt: skip
def test_one_of_two_started_processes_ends(how, expected, words, fit):
    options = ["--trainer.strategy=ddp_fork", "--trainer.devices=2"]
    code, run, said = fit(f"forked-{int(how)}", *options, end=End("step", 8, how, rank=1))
    assert code == expected, said
    assert said.count(words) == 1
    assert "Traceback" not in said
    resume(fit, f"forked-{int(how)}", *options)
    steps = [int(row["step"]) for row in logged(run) if "train_loss" in row]
    assert steps == list(range(1, EPOCHS * STEPS, 2))  # the rows of the processes that trained are kept
