"""Rebuilds a trained task from a checkpoint or a file of weights."""

from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, overload

from cv_attention.blocks.trust import check_trusted, class_paths_of
from cv_attention.config import Experiment, is_source
from cv_attention.config.plain import from_plain
from cv_attention.training.checkpoint.checkpoints import OtherTask, begin, check_network, facts_in, require_task
from cv_attention.training.tasks.choosing import task_named
from cv_attention.training.tasks.classifier import Classifier
from cv_attention.training.tasks.task import Task

AnyTask = TypeVar("AnyTask", bound=Task)


@overload
def load(checkpoint: Path | Classifier, trust: Collection[str] | None = ()) -> Classifier: ...
@overload
def load(checkpoint: Path | AnyTask, trust: Collection[str] | None = (), *, task: type[AnyTask]) -> AnyTask: ...
@overload
def load(checkpoint: Path | Task, trust: Collection[str] | None = (), *, task: None) -> Task: ...
def load(checkpoint: Path | Task, trust: Collection[str] | None = (), *, task: type[Task] | None = Classifier) -> Task:
    """Rebuilds the network of a checkpoint or of a ``.safetensors`` file, with its weights, on the CPU, in eval mode.

    A network that is open already (`opening.open_pretrained`) is returned as it is. A file can name a block by its
    class path; that is imported only where the user says so.

    Args:
        checkpoint: The file, or an open network, which is returned as it is.
        trust: Modules and classes that the file may name, such as ``my_block`` or ``my_block.MyBlock``; None allows
            all, for a file that this process has written.
        task: The class of the task that the network was trained for; None takes whichever of the package's tasks it is.

    Returns:
        The task with its network, on the CPU, in eval mode.

    Raises:
        ValueError: if the file is none of cv_attention's, belongs to another task, its weights do not fit its
            configuration, or it names a class that is not in `trust`.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention import training
        >>> classifier = training.load(training.find_checkpoint(Path("runs/mine")))  # doctest: +SKIP
        >>> classifier.facts.class_names  # doctest: +SKIP
        ('cat', 'dog')
    """
    if isinstance(checkpoint, Task):
        return checkpoint
    content, end_verification = begin(checkpoint)
    try:
        check_network(content, checkpoint)
        task = task or task_named(content.get("task")) or Classifier
        require_task(content, checkpoint, task)
        experiment = from_plain(Experiment, _renamed(content["experiment"]), "experiment")
        facts = facts_in(content["facts"], task.facts_type)
        with nullcontext() if trust is None else class_paths_of(checkpoint, trust):
            if not is_source(experiment.data.name):  # imported later, when the data is opened
                check_trusted(experiment.data.name)
            loaded = task(_unloaded(experiment), facts)
    except Exception as error:  # whatever a foreign configuration provokes
        end_verification()
        reason = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, ValueError | OSError):
            reason = f"its network cannot be built ({type(error).__name__}: {reason[:300]})"
        kind = OtherTask if isinstance(error, OtherTask) else ValueError
        raise kind(reason if reason.startswith(str(checkpoint)) else f"{checkpoint}: {reason}") from error
    loaded.experiment = experiment  # as it was trained: what is written from here on has the run's fingerprint
    try:
        loaded.load_state_dict(content["state_dict"])
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"{checkpoint} does not fit {experiment.model.backbone}: {reason}") from error
    finally:  # last of all: where a core is free, the hash is computed while the network is built and filled
        end_verification()
    return loaded.eval()


def _renamed(experiment: Any) -> Any:
    """Returns a file's configuration with the names of fields that this version has.

    ``model.head`` held the globs of ``model.head_modules`` before that field was there, which every file now has.
    """
    model = experiment.get("model") if isinstance(experiment, Mapping) else None
    if not isinstance(model, Mapping) or "head_modules" in model or "head" not in model:
        return experiment
    return {**experiment, "model": {**model, "head": None, "head_modules": model["head"]}}


def _unloaded(experiment: Experiment) -> Experiment:
    """Returns the configuration of the same network without weights: the checkpoint has them.

    timm would read whatever file ``checkpoint_path`` names.
    """
    options = {name: value for name, value in experiment.model.options.items() if name != "checkpoint_path"}
    return replace(experiment, model=replace(experiment.model, pretrained=False, options=options))
