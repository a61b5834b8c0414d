"""Tunes the options of a saliency method: half of the images choose, the other half judges."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from cv_attention.judging.judge import Judge
from cv_attention.judging.measures import GOOD, resolve_measure
from cv_attention.judging.opening import open_classifier
from cv_attention.judging.recommendation import Verdict, compare
from cv_attention.judging.run import batch_of
from cv_attention.saliency.catalogue import method_name, resolve
from cv_attention.statistics import Interval
from cv_attention.tables import html_text
from cv_attention.training.recording.probes import spread_over_classes
from cv_attention.training.splits import open_data
from cv_attention.training.tasks.classifier import Classifier

DEFAULT = "defaults"


@dataclass(frozen=True)
class Tuned:
    """Holds the options that `tune_saliency` chose, and how they do on images that did not choose them.

    Attributes:
        method: The method.
        measure: The measure.
        options: The chosen options; empty if the defaults were best.
        tried: Options as text -> the measure's mean on the choosing half with its interval.
        judged: The chosen options -> the measure's mean on the judging half, and the same for the defaults.
        verdict: The comparison of the chosen options with the defaults on the judging half; None if they are the same.
        left_out: Options that failed -> the reason.

    Examples:
        >>> from cv_attention.judging import Tuned
        >>> from cv_attention.statistics import Interval
        >>> mean = Interval(0.31, 0.25, 0.37)
        >>> tuned = Tuned("smooth_grad", "road", {"samples": 50}, {"samples=50": mean}, {"samples=50": mean}, None, {})
        >>> tuned.options
        {'samples': 50}
    """

    method: str
    measure: str
    options: dict[str, Any]
    tried: dict[str, Interval]
    judged: dict[str, Interval]
    verdict: Verdict | None
    left_out: dict[str, str]

    def _repr_html_(self) -> str:
        return html_text(str(self))

    def __str__(self) -> str:
        lines = [f"{self.method}, {self.measure} on the half of the images that chooses:"]
        lines += [f"  {options}: {mean}" for options, mean in self.tried.items()]
        lines += [f"  {options}: left out, {why}" for options, why in self.left_out.items()]
        lines.append("on the other half, which judges:")
        lines += [f"  {options}: {mean}" for options, mean in self.judged.items()]
        return "\n".join([*lines, str(self.verdict or "the defaults are as good as any of the given options")])


def tune_saliency(
    checkpoint: Path | Classifier,
    method: str | Callable[..., Tensor],
    grid: Mapping[str, Sequence[Any]],
    *,
    measure: str = "road",
    images: int = 256,
    split: Literal["train", "val", "test"] = "val",
    target: Literal["predicted", "true"] = "predicted",
    batch_size: int = 32,
    seed: int = 0,
    steps: int | None = None,
    root: str | None = None,
    device: str = "cpu",
    trust: Collection[str] = (),
) -> Tuned:
    """Chooses a method's options by a measure on half of the images, and compares them with its defaults on the other.

    Args:
        checkpoint: The network: a checkpoint, or what `open_pretrained` returned.
        method: A name in `METHODS`, a class path, or a function.
        grid: Option -> values to try; all combinations are, besides the defaults.
        measure: A measure of single maps with a direction, see ``docs/evaluation.md``.
        images: Number of images of the split, spread over its classes, half of which choose.
        split: Split of the run's data set.
        target: The class to explain, ``predicted`` or ``true``.
        batch_size: Images per batch.
        seed: Seed of the bootstrap.
        steps: Forward passes per image of `insertion_auc`, `deletion_auc` and `selectivity`; None for as many as images
            are wide, and have patches.
        root: Location of the data set, if it has moved since training.
        device: Device to compute on.
        trust: Modules and classes that the checkpoint may name, such as ``my_block``; see `load`.

    Returns:
        The chosen options, and what was measured.

    Raises:
        ValueError: if the method or the measure is unknown or does not work, or the grid is empty.
        FileNotFoundError: if the data set is missing.

    Examples:
        >>> from cv_attention import config, judging, training
        >>> digits = config.Digits(train=40, val=20, test=10, canvas=32, digit=16)
        >>> data, model = config.Data(digits=digits), config.Model(options={"width": 4})
        >>> experiment = config.Experiment(data=data, model=model)
        >>> facts = training.DataFacts(tuple("0123456789"), (0.1, 0.1, 0.1), (0.3, 0.3, 0.3), image_size=(32, 32))
        >>> classifier = training.Classifier(experiment, facts).eval()  # a checkpoint's path in practice
        >>> grid = {"channels": ["sum", "sum_abs"]}
        >>> tuned = judging.tune_saliency(classifier, "gradient", grid, measure="sparseness", images=8)
        >>> sorted(tuned.tried)
        ['channels=sum', 'channels=sum_abs', 'defaults']
    """
    found = resolve(method)
    chosen_measure = resolve_measure(measure)
    if chosen_measure is None:
        raise ValueError(f"measure must be one of single maps, such as {', '.join(GOOD)}, got {measure}")
    combinations = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    if not grid or not combinations or images < 2:
        raise ValueError(f"grid must give values of at least one option, and images at least 2; got {grid}, {images}")
    candidates = {DEFAULT: found} | {_text(options): partial(found, **options) for options in combinations}
    classifier = open_classifier(checkpoint, trust).to(device)
    pictures = open_data(classifier, root, split).splits[split]
    places = spread_over_classes(pictures.images.labels, images)

    def run(methods: Mapping[str, Callable[..., Tensor]], half: Sequence[int], left_out: dict[str, str]) -> Judge:
        judge = Judge(classifier, methods, {measure: chosen_measure}, left_out, target=target, seed=seed, steps=steps)
        for start in range(0, len(half), batch_size):
            judge.add(batch_of(pictures, half[start : start + batch_size], device))
        return judge

    left_out: dict[str, str] = {}
    first = run(candidates, places[::2], left_out).table()
    means = {name: row[measure] for name, row in first.items() if measure in row}
    if not means:
        raise ValueError(
            f"{measure} of {method_name(method)} does not work: {next(iter(left_out.values()), 'no values')}"
        )
    best = (max if chosen_measure.good == "high" else min)(means, key=lambda name: means[name].mean)
    pair = {name: candidates[name] for name in dict.fromkeys((best, DEFAULT)) if name in means}
    judge = run(pair, places[1::2], left_out)
    judged = {name: row[measure] for name, row in judge.table().items() if measure in row}
    verdict = compare(measure, judge.values(measure), chosen_measure.good, seed=seed)
    options = next((options for options in combinations if _text(options) == best), {})
    return Tuned(method_name(method), measure, options, means, judged, verdict, left_out)


def _text(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items())
