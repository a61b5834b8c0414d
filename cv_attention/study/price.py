"""Prices a study before it is trained: from finished trials, or from measured training steps of each arm."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from cv_attention.config import Experiment
from cv_attention.study.design.trials import Trial, seconds, state
from cv_attention.study.opening import open_images, prepared
from cv_attention.study.record import StudyFolder

START = 2.0  # seconds of a trial beyond its training and its test
_EVALUATED = 1 / 3  # cost of an evaluated image, in trained ones
_IMAGES = 64  # of a measured step
_ROUNDS = 3
Cell = tuple[str, str]


@dataclass(frozen=True)
class Step:
    """Cost of one training step of an arm, measured in turns with the others.

    Attributes:
        seconds: Seconds of a forward and a backward pass, per image.
        images: Images that a whole training run passes forward and backward, evaluated ones as a third.
    """

    seconds: float
    images: float

    @property
    def trial(self) -> float:
        """Expected seconds of a whole trial."""
        return self.seconds * self.images + START


def finished_seconds(folder: StudyFolder, trials: Sequence[Trial]) -> dict[Cell, float]:
    """Returns (arm, recipe) -> the median seconds of the finished trials of `trials`, with their start."""
    known: dict[Cell, list[float]] = {}
    for trial in trials:
        run = folder.run(trial.name)
        if state(run)[0] == "finished" and (took := seconds(run)) is not None:
            known.setdefault((trial.arm, trial.recipe), []).append(took + START)
    return {cell: median(values) for cell, values in known.items()}


def measured_steps(experiments: Mapping[Cell, Experiment], threads: int) -> dict[Cell, Step]:
    """Measures training steps of all arms in turns, on images of the study.

    Args:
        experiments: (arm, recipe) -> the configuration.
        threads: Threads of torch.

    Returns:
        (arm, recipe) -> the cost.

    Raises:
        ValueError: if a network cannot be built, naming the arm.
        FileNotFoundError: if the images do not exist.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        opened: dict[str, Any] = {}
        tasks = {cell: _task(cell, experiment, opened) for cell, experiment in experiments.items()}
        taken: dict[Cell, list[float]] = {cell: [] for cell in tasks}
        for _ in range(_ROUNDS + 1):
            for cell, (task, images, _) in tasks.items():
                taken[cell].append(_step(task, images) / len(images))
        return {cell: Step(min(taken[cell][1:]), tasks[cell][2]) for cell in tasks}
    finally:
        torch.set_num_threads(before)


def _task(cell: Cell, experiment: Experiment, opened: dict[str, Any]) -> tuple[Any, Any, float]:
    """Builds the network of an arm, and returns some of its images and how many a whole training run takes."""
    import torch

    from cv_attention import training

    experiment = prepared(experiment)
    key = str(experiment.data)
    if key not in opened:
        module = open_images(experiment)
        opened[key] = (module, next(iter(module.train_dataloader())))
    module, batch = opened[key]
    kind = training.task_of(experiment)
    torch.manual_seed(0)
    try:
        task = kind(experiment, kind.facts_of(module)).train()
    except ValueError as error:
        raise ValueError(f"{cell[0]}: {error}") from error
    epochs = experiment.trainer.max_epochs
    trained, validated, tested = (len(module.splits[name]) for name in ("train", "val", "test"))
    images = epochs * trained + _EVALUATED * (epochs * validated + tested)
    device = _device(experiment.trainer.accelerator)
    return task.to(device), batch["image"][:_IMAGES].to(device), images


def _device(accelerator: str) -> Any:
    import torch

    cuda = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return torch.device("cuda" if cuda else "cpu")


def _step(task: Any, images: Any) -> float:
    """Returns the seconds of a forward and a backward pass."""
    import torch

    from cv_attention.training.devices.precision import resolve

    trainer = task.experiment.trainer
    half = resolve(trainer.precision, trainer.accelerator) == "bf16-mixed"
    since = time.perf_counter()
    with torch.autocast(images.device.type, torch.bfloat16, enabled=half):
        output = task(images)
    _sum(output).backward()
    task.zero_grad(set_to_none=True)
    if images.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - since


def _sum(output: Any) -> Any:
    if isinstance(output, Mapping):
        return sum(_sum(each) for each in output.values())
    return sum(_sum(each) for each in output) if isinstance(output, list | tuple) else output.float().sum()
