"""Adopts the preprocessing of pretrained weights into the configuration."""

from dataclasses import dataclass, replace
from pathlib import Path

from cv_attention.backbones.models.preprocessing import Triple, preprocessing_of
from cv_attention.config import TEXT_SOURCES, Experiment, Model, Transform
from cv_attention.training.checkpoint.checkpoints import find_checkpoint
from cv_attention.training.checkpoint.initial import stated


@dataclass(frozen=True)
class Expected:
    """What weights expect of images: whose they are, normalisation, and steps of ``data.eval_transforms``."""

    source: str
    mean: Triple
    std: Triple
    transforms: list[Transform]


def adopt(experiment: Experiment) -> tuple[Experiment, str | None]:
    """Fills in the normalisation and the transforms that the configuration leaves to the weights it starts from.

    Images that show texts get the normalisation alone: their own data module brings them to one size.

    Resolved like this they are in the run's ``config.yaml``, in its checkpoints and in everything exported from them.

    Args:
        experiment: The configuration.

    Returns:
        The configuration without gaps, and one line that says what the weights expect and what is configured otherwise;
        None where training starts from nothing, or the weights state nothing.

    Raises:
        FileNotFoundError: if ``model.weights`` does not exist.
        ValueError: if the backbone is unknown or the file cannot be read.
    """
    found = expected(experiment.model)
    if found is None:
        return experiment, None
    data = experiment.data
    if data.name in TEXT_SOURCES:
        found = replace(found, transforms=[])  # cropping the centre cuts off the text
    resized = found.transforms and not data.eval_transforms
    filled = replace(
        data,
        mean=data.mean or list(found.mean),
        std=data.std or list(found.std),
        eval_transforms=data.eval_transforms or list(found.transforms),
        train_transforms=data.train_transforms or (list(found.transforms) if resized else []),
    )
    return replace(experiment, data=filled), _line(found, experiment, filled.train_transforms != data.train_transforms)


def expected(model: Model) -> Expected | None:
    """Finds what the weights that `model` starts from expect: a checkpoint of ours says so, else the library does.

    A file of others is taken to be prepared as the library's own weights of this backbone.
    """
    if model.weights:
        path = find_checkpoint(Path(model.weights).expanduser())
        own = stated(path)
        if own is not None:
            facts, steps = own["facts"], own["experiment"]["data"]["eval_transforms"]
            return Expected(str(path), tuple(facts["mean"]), tuple(facts["std"]), steps)
    elif not model.pretrained:
        return None
    found = preprocessing_of(model.backbone, model.options)
    return found and Expected(found.source, found.mean, found.std, [found.transform()])


def _line(found: Expected, experiment: Experiment, plain_training: bool) -> str:
    data = experiment.data
    steps = ", ".join(step if isinstance(step, str) else _step(step) for step in found.transforms)
    parts = [f"mean {_numbers(found.mean)}", f"std {_numbers(found.std)}", *([steps] if steps else [])]
    given = [f"data.{name}" for name in ("mean", "std", "eval_transforms") if getattr(data, name)]
    line = f"preprocessing: {found.source} expects {', '.join(parts)}"
    if given:
        line += f"; as configured: {', '.join(given)}"
    if plain_training:
        line += "; training images pass through the same, without augmentation (data.train_transforms is empty)"
    return line


def _step(step: dict[str, dict[str, object]]) -> str:
    [(name, arguments)] = step.items()
    return f"{name}({', '.join(f'{key}={value}' for key, value in (arguments or {}).items())})"


def _numbers(values: Triple) -> str:
    return "/".join(f"{value:g}" for value in values)
