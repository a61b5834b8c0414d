"""Evaluates a trained network on the test split."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from cv_attention.data.module import DataModule
from cv_attention.training.devices.precision import resolve
from cv_attention.training.loading import load
from cv_attention.training.splits import open_data
from cv_attention.training.stopping.ending import raising_keyboard_interrupt
from cv_attention.training.tasks.contract import check_data, check_kind
from cv_attention.training.tasks.task import Task
from cv_attention.training.trainer import quieten


def evaluate(
    checkpoint: Path | Task,
    root: str | None = None,
    predictions: Path | None = None,
    trust: Collection[str] = (),
    *,
    task: type[Task] | None = None,
    datamodule: DataModule | None = None,
) -> dict[str, float]:
    """Evaluates a checkpoint, or a pretrained network, on the test split of its data set.

    Args:
        checkpoint: A checkpoint file, or what `open_pretrained` returned.
        root: Where the data set lies now, if not where it lay in training.
        predictions: File that every image's prediction is written to, see `Predictions`; None writes none.
        trust: Modules and classes that the checkpoint may name, such as ``my_block``; see `load`.
        task: The class of the task that the network of a file was trained for; None takes whichever of the package's
            tasks it is.
        datamodule: The data to test on; None opens the data set of the configuration.

    Returns:
        The figures, such as ``{"accuracy": 0.97, "loss": 0.11}``; of a classifier, with boxes, also where Grad-CAM
        points.

    Raises:
        ValueError: if the images do not suit the network, such as those of other classes than it knows, or predictions
            are asked for of a task that writes none.
        FileNotFoundError: if the data set is missing.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention import training
        >>> training.evaluate(Path("runs/mine/checkpoints/best.ckpt"))  # doctest: +SKIP
        {'accuracy': 0.97, 'accuracy_top5': 1.0, 'loss': 0.11}
    """
    trained = load(checkpoint, trust, task=task)
    images: Any = open_data(trained, root, "test") if datamodule is None else _checked(trained, datamodule)
    trainer = evaluating_trainer(trained, _writers(trained, predictions))
    with raising_keyboard_interrupt(lambda: " in the test"):
        [metrics] = trainer.test(trained, datamodule=images, verbose=False)
    return trained.figures(metrics, images)


def evaluating_trainer(task: Task, callbacks: Sequence[Callback] = ()) -> lightning.Trainer:
    """Returns a trainer that validates and tests a trained network, on one device, and writes nothing itself.

    Args:
        task: The task with its trained network, whose configuration names the device and the precision.
        callbacks: Callbacks of the trainer.
    """
    quieten()
    experiment = task.experiment
    return lightning.Trainer(
        accelerator=experiment.trainer.accelerator,
        devices=1,
        precision=resolve(experiment.trainer.precision, experiment.trainer.accelerator),  # pyright: ignore[reportArgumentType]
        deterministic=experiment.trainer.deterministic,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        use_distributed_sampler=False,
        enable_model_summary=False,
    )


def _checked(task: Task, datamodule: DataModule) -> DataModule:
    check_kind(datamodule)
    datamodule.prepare_data()
    datamodule.setup()
    check_data(datamodule, ("test",))
    task.check_data(datamodule, task.facts)
    return datamodule


def _writers(task: Task, path: Path | None) -> list[Callback]:
    if path is None:
        return []
    writers = task.prediction_writers(path)
    if not writers:
        raise ValueError(f"the task {task.name} writes no predictions, so {path} cannot be written")
    return writers
