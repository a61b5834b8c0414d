"""Finds the test images on which the arms of a study differ, once the test results are opened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from cv_attention.comparison import predictions
from cv_attention.report.studies.page import DifferingImage, DifferingImages
from cv_attention.rundir import summary
from cv_attention.rundir.arrays import read_arrays
from cv_attention.rundir.readings import read_readings
from cv_attention.study.design.plan import Plan
from cv_attention.study.design.trials import Trial
from cv_attention.study.opening import open_images
from cv_attention.study.record import StudyFolder
from cv_attention.study.reporting.results import Results

_PER_PAIR, _MOST = 12, 480  # images listed for each ordered pair of arms, and of all pairs together


@dataclass(frozen=True)
class _Answers:
    """What one run predicted for the N test images.

    Attributes:
        places: Index of each in the test split.
        names: Name of each.
        words: Classes, or all texts.
        truth: Which of `words` each shows.
        given: Which of `words` was predicted for each.
        right: Whether they agree.
    """

    places: np.ndarray
    names: np.ndarray
    words: np.ndarray
    truth: np.ndarray
    given: np.ndarray
    right: np.ndarray


def differing_images(plan: Plan, folder: StudyFolder, results: Results) -> DifferingImages | None:
    """Finds the test images on which two arms differ most, over the seeds that they share.

    Args:
        plan: The study.
        folder: Its folder.
        results: Its results.

    Returns:
        The images with what every run predicted for them; None while the test results are sealed, or where no run has a
        class or a text for each test image.
    """
    if results.sealed:
        return None
    same: list[tuple[Trial, _Answers]] = []
    for outcome in results.outcomes:
        found = _read(folder, outcome.trial) if outcome.state == "finished" else None
        if found and (not same or np.array_equal(found.names, same[0][1].names)):
            names = same[0][1].names if same else found.names  # once in memory, however many runs there are
            same.append((outcome.trial, replace(found, names=names)))
    if not same:
        return None
    first = same[0][1]
    right = {(t.recipe, t.arm, t.seed): found.right for t, found in same}
    pairs, chosen = _pairs(right, len(plan.recipes))
    listed = np.array(sorted(chosen), int)
    pictures, note = _pictures(plan, first, listed)
    images = [
        DifferingImage(str(first.names[i]), str(first.words[first.truth[i]]), picture)
        for i, picture in zip(listed, pictures, strict=True)
    ]
    answers = {
        trial.name: [None if found.right[i] else str(found.words[found.given[i]]) for i in listed]
        for trial, found in same
    }
    return DifferingImages(images, answers, len(first.names), pairs, note)


def _pairs(
    right: Mapping[tuple[str, str, int], np.ndarray], recipes: int
) -> tuple[dict[str, dict[str, dict[str, float]]], set[int]]:
    """Returns the mean counts of every ordered pair of arms, and the images on which pairs differ in most seeds."""
    pairs: dict[str, dict[str, dict[str, float]]] = {}
    chosen: set[int] = set()
    arms = {recipe: list(dict.fromkeys(a for r, a, _ in right if r == recipe)) for recipe, _, _ in right}
    ordered = sum(len(each) * (len(each) - 1) for each in arms.values()) or recipes
    most = max(1, min(_PER_PAIR, _MOST // ordered))
    for recipe, each in arms.items():
        for a, b in permutations(each, 2):
            seeds = [s for r, arm, s in right if (r, arm) == (recipe, a) and (recipe, b, s) in right]
            if not seeds:
                continue
            ahead = [right[recipe, a, s] & ~right[recipe, b, s] for s in seeds]
            behind = [right[recipe, b, s] & ~right[recipe, a, s] for s in seeds]
            pairs.setdefault(recipe, {}).setdefault(a, {})[b] = float(np.sum(ahead) / len(seeds))
            lead = np.sum(ahead, 0) - np.sum(behind, 0)
            best = np.argsort(-lead, kind="stable")[:most]
            chosen.update(int(i) for i in best if lead[i] > 0)
    return pairs, chosen


def _read(folder: StudyFolder, trial: Trial) -> _Answers | None:
    """Reads what a finished trial predicted, if it belongs to the test in its summary."""
    run = folder.run(trial.name)
    try:
        test = summary.read(run).get("test") or {}
        if predictions.read(run, test) is None:
            return None
        path = predictions.file_of(run, test)
        return _of_texts(path) if path.suffix == ".csv" else _of_classes(path)
    except (ValueError, OSError, KeyError):
        return None


def _of_texts(path: Path) -> _Answers:
    rows = [row for row in read_readings(path) if row.truth is not None]
    names = np.array([row.file_name for row in rows], np.str_)
    words = np.array([*(row.truth for row in rows), *(row.text for row in rows)], object)
    places, right = np.arange(len(rows)), np.array([row.truth == row.text for row in rows], bool)
    return _Answers(places, names, words, places, places + len(rows), right)


def _of_classes(path: Path) -> _Answers:
    stored = read_arrays(path, ("index", "name", "label", "predicted", "class_names"))
    label, predicted = stored["label"], stored["predicted"]
    return _Answers(stored["index"], stored["name"], stored["class_names"], label, predicted, label == predicted)


def _pictures(plan: Plan, answers: _Answers, listed: Sequence[int] | np.ndarray) -> tuple[list[np.ndarray | None], str]:
    """Reads the images again from their data set; a note says why that is not possible."""
    if not len(listed):
        return [], ""
    try:
        module = open_images(plan.experiments[plan.reference, plan.recipes[0]])
        split: Any = module.splits["test"]
        found = []
        for i in listed:
            place = int(answers.places[i])
            if split.images.short_name(place) != str(answers.names[i]):
                raise ValueError(f"test image {place} is now another one")
            pixels = split[place]["image"].permute(1, 2, 0).numpy()
            found.append(np.ascontiguousarray(pixels))
    except Exception as error:  # data sets that have moved since, sources of one's own
        return [None] * len(listed), f"the pictures of test images could not be read: {' '.join(str(error).split())}"
    return found, ""
