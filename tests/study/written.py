"""Study files, and trials as `fit` leaves them, without training any."""

import json
import multiprocessing
import os
import time
from pathlib import Path

import yaml

from cv_attention.rundir.files import write_text
from cv_attention.study import LocalEngine, StudyFolder, make_plan
from cv_attention.study.design.trials import record_failure

BASE = {
    "data": {"name": "cluttered_digits", "batch_size": 16,
             "digits": {"canvas": 16, "digit": 12, "clutter": 1, "train": 32, "val": 16, "test": 16}},
    "model": {"backbone": "resnet20", "options": {"width": 4}},
    "trainer": {"max_epochs": 1, "accelerator": "cpu", "devices": 1, "precision": "32-true"},
}  # fmt: skip
STUDY = {"base": "base.yaml", "networks": {"plain": {}, "se": {"model.block": "se"}}, "seeds": 3, "margin": 0.5}


def write_study(folder, name="toy.yaml", configuration=BASE, **changes):
    """Writes a study file next to its base and returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "base.yaml").write_text(yaml.safe_dump(configuration))
    (folder / name).write_text(yaml.safe_dump({**STUDY, **changes}, sort_keys=False))
    return folder / name


def planned(folder, **changes):
    """Returns a plan and its folder."""
    plan = make_plan(write_study(folder, **changes))
    return plan, StudyFolder(folder / "studies", plan.name)


def finish(trial, run, test, validation=None, **summary):
    """Writes a finished trial."""
    run.mkdir(parents=True, exist_ok=True)
    write_text(run / "config.yaml", yaml.safe_dump(trial.experiment.to_dict()))
    content = {
        "parameters": 1000, "flops": 2_000_000, "training_seconds": 3.0, "finished": True,
        "provenance": {"cv_attention": "1", "torch": "2"}, "selected": {"epoch": "last", "reason": "small"},
        "hardware": {"accelerator": "cpu", "device": "a processor", "devices": 1, "threads": 1, "precision": "32-true"},
        "validation": {"accuracy": test if validation is None else validation, "epoch": 1},
        "test": {"accuracy": test, "loss": 1 - test}, **summary,
    }  # fmt: skip
    write_text(run / "summary.json", json.dumps(content))


def finish_all(plan, folder, figures, chosen=None):
    """Finishes trials by arm -> accuracy of each seed; None fails, and a missing figure leaves the trial untrained."""
    for trial in plan.trials(folder.trials, chosen or {}):
        known = dict(zip(plan.seeds, figures[trial.arm], strict=False))
        if trial.seed not in known:
            continue
        if known[trial.seed] is None:
            record_failure(folder.run(trial.name), trial.experiment, "NonFiniteLoss: the loss is nan")
        else:
            finish(trial, folder.run(trial.name), known[trial.seed])


def accuracy(arm, seed):
    """A figure that depends on nothing but the arm and the seed."""
    return 0.7 + 0.05 * ("se" in arm) + 0.01 * ((7 * seed + 3 * len(arm)) % 5)


def pretend(plain, threads, log, gpus=None, at_test=()):
    """Takes the place of a trial's process: writes a finished run, unless ``SCRIPT`` says how it ends."""
    run = Path(plain["log"]["root"]) / plain["log"]["name"]
    script = Path(os.environ.get("SCRIPT") or run.parents[2] / "script")  # other machines have another environment
    script.mkdir(exist_ok=True)
    attempts = script / run.name
    with attempts.open("a") as file:
        starter = multiprocessing.parent_process()
        file.write(f"{starter.pid if starter else 0} {plain['model']['block']} {plain['seed']}\n")
    how = (script / "how").read_text().split() if (script / "how").exists() else []
    _wait(next((float(word[5:]) for word in how if word.startswith("slow:")), float(os.environ.get("SLOW", "0"))))
    if f"kill:{plain['seed']}" in how and len(attempts.read_text().splitlines()) == 1:
        os.kill(os.getpid(), 9)
    if f"kill-always:{plain['seed']}" in how:
        os.kill(os.getpid(), 9)
    if f"full:{plain['seed']}" in how:
        os._exit(74)
    from cv_attention.config import Experiment
    from cv_attention.config.plain import from_plain
    from cv_attention.study import Trial

    experiment = from_plain(Experiment, plain)
    if f"fail:{plain['seed']}" in how:
        record_failure(run, experiment, "ValueError: model.block is wrong")
        os._exit(1)
    finish(Trial("", "", plain["seed"], experiment), run, accuracy(str(plain["model"]["block"]), plain["seed"]))
    os._exit(0)


def _wait(seconds):
    """Waits as long as the process that has started this one lives."""
    end, starter = time.monotonic() + seconds, multiprocessing.parent_process()
    while time.monotonic() < end:
        time.sleep(min(0.2, seconds))
        if starter is not None and not starter.is_alive():
            os._exit(143)


def engine(workers=2):
    """An engine whose processes write their results at once."""
    return LocalEngine(workers, 1, target=pretend, context=multiprocessing.get_context("fork"))
