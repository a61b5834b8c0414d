"""Evaluates saliency methods: explains images with every method, measures the maps and compares them."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Literal

from torch import Tensor

from cv_attention.data.sources.image_set import ImageSet
from cv_attention.extras import require_for
from cv_attention.judging.judge import BASELINES, Judge
from cv_attention.judging.judged import Judged
from cv_attention.judging.measures import GOOD, GRID, NAMES, USUAL_MEASURES, resolve_measure
from cv_attention.judging.opening import open_classifier
from cv_attention.saliency.catalogue import method_name, resolve
from cv_attention.training.checkpoint.checkpoints import name_of
from cv_attention.training.recording.probes import spread_over_classes
from cv_attention.training.splits import open_data
from cv_attention.training.tasks.classifier import Classifier

# Methods that take a few forward passes per image; the others must be requested by name.
USUAL = (
    *("grad_cam", "grad_cam_plus_plus", "layer_cam", "hires_cam", "eigen_cam", "gradient", "input_x_gradient"),
    *("smooth_grad", "integrated_gradients", "guided_backprop", "block_maps", "spectral_residual"),
)


def evaluate_saliency(
    checkpoint: Path | Classifier,
    *,
    methods: Sequence[str | Callable[..., Tensor]] = USUAL,
    measures: Sequence[str] = USUAL_MEASURES,
    images: int = 256,
    split: Literal["train", "val", "test"] = "test",
    target: Literal["predicted", "true"] = "predicted",
    mosaics: int = 64,
    batch_size: int = 32,
    seed: int = 0,
    steps: int | None = None,
    root: str | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = lambda _: None,
    trust: Collection[str] = (),
) -> Judged:
    """Judges saliency methods on a trained network, with a random map and a centre bias for comparison.

    Args:
        checkpoint: The network: a checkpoint, or what `open_pretrained` returned.
        methods: Names of `METHODS`, class paths, or functions; a method that does not work on this network is left out
            and the reason reported.
        measures: Names of `NAMES`, or class paths of a `Measure`; those that need boxes are left out if there are none.
        images: Number of images of the split, spread over its classes.
        split: Split of the run's data set.
        target: The class to explain, ``predicted`` or ``true``.
        mosaics: Number of mosaics for the grid pointing game, made from correctly classified images.
        batch_size: Images per batch.
        seed: Seed of the random maps, the mosaics and the bootstrap.
        steps: Forward passes per image of `insertion_auc`, `deletion_auc` and `selectivity`; None for as many as images
            are wide, and have patches.
        root: Location of the data set, if it has moved since training.
        device: Device to compute on.
        say: Called with a line on what is being done.
        trust: Modules and classes that the checkpoint may name, such as ``my_block``; see `load`.

    Returns:
        The measures of each method with their intervals, and what was left out; `printed` and `write` format it.

    Raises:
        ValueError: if a method or measure is unknown, or a number is not positive.
        FileNotFoundError: if the data set is missing.

    Examples:
        >>> import torch
        >>> from cv_attention import config, judging, training
        >>> digits = config.Digits(train=40, val=10, test=10, canvas=32, digit=16)
        >>> data, model = config.Data(digits=digits), config.Model(options={"width": 4})
        >>> experiment = config.Experiment(data=data, model=model)
        >>> facts = training.DataFacts(tuple("0123456789"), (0.1, 0.1, 0.1), (0.3, 0.3, 0.3), image_size=(32, 32))
        >>> classifier = training.Classifier(experiment, facts).eval()  # a checkpoint's path in practice
        >>> judged = judging.evaluate_saliency(
        ...     classifier, methods=["grad_cam"], measures=["deletion_auc"], images=4
        ... )
        >>> list(judged.table)
        ['grad_cam', 'random_map', 'centre_bias']
    """
    _check_positive({"images": images, "batch_size": batch_size, "mosaics": mosaics})
    found = _resolved(methods)
    asked = {name: resolve_measure(name) for name in sorted(dict.fromkeys(measures), key=_column)}
    classifier = open_classifier(checkpoint, trust).to(device)
    pictures = open_data(classifier, root, split).splits[split]
    chosen = spread_over_classes(pictures.images.labels, images)
    left_out: dict[str, str] = {}
    if pictures.images.boxes is None:
        boxed = [name for name, measure in asked.items() if measure is not None and measure.boxes]
        left_out |= dict.fromkeys(boxed, "the data set has no boxes")
    wanted = {name: measure for name, measure in asked.items() if name not in left_out}
    judge = Judge(classifier, found, wanted, left_out, target=target, seed=seed, steps=steps)
    for start in range(0, len(chosen), batch_size):
        say(f"images {start} to {min(start + batch_size, len(chosen)) - 1} of {len(chosen)}")
        judge.add(batch_of(pictures, chosen[start : start + batch_size], device))
    if GRID in wanted:
        say("mosaics")
        right = [index for index, right in zip(chosen, judge.right.tolist(), strict=True) if right]
        few = spread_over_classes(pictures.images.labels[right], 4 * mosaics)
        at_once = max(batch_size // 4, 1)  # a mosaic has the pixels of four images
        judge.play_grid(batch_of(pictures, [right[place] for place in few], "cpu"), mosaics, at_once)
    facts = {"checkpoint": name_of(checkpoint), "split": split, "images": len(chosen), "target": target, "seed": seed}
    good = {name: measure.good if measure else GOOD.get(name, "") for name, measure in asked.items()}
    facts |= {} if steps is None else {"steps": steps}
    judged = Judged(facts | {"accuracy": judge.right.float().mean().item()}, left_out=left_out, good=good)
    judged.verdicts = judge.verdicts(good)
    judged.table, judged.agreement, judged.attention = judge.table(), judge.agreement(), judge.attention()
    return judged


def _resolved(methods: Sequence[str | Callable[..., Tensor]]) -> dict[str, Callable[..., Tensor]]:
    """Returns the methods by name, the baselines last."""
    named: dict[str, str | Callable[..., Tensor]] = {}
    for method in methods:
        name = method if isinstance(method, str) else method_name(method)
        if named.setdefault(name, method) != method:
            raise ValueError(f"methods has two that are called {name}; give one of them another __name__")
    found = {name: resolve(method) for name, method in named.items() if name not in BASELINES}
    for name in found:
        require_for(name)
    return found | {name: resolve(name) for name in BASELINES}


def _column(measure: str) -> int:
    """Returns where a measure stands in the table: ours first, in their order."""
    return NAMES.index(measure) if measure in NAMES else len(NAMES)


def _check_positive(numbers: dict[str, int]) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name} must be positive, got {number}")


def batch_of(pictures: ImageSet, indices: Sequence[int], device: str) -> dict[str, Tensor]:
    """Returns a batch of unaugmented images of a split, on a device."""
    return {key: values.to(device) for key, values in pictures.batch([(0, index) for index in indices]).items()}
