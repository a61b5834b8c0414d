"""Writes the paragraph of methods that a paper would have, with every command."""

from collections.abc import Iterator, Sequence

from cv_attention.comparison import Comparison
from cv_attention.comparison.text import Unit
from cv_attention.study.design.plan import Plan
from cv_attention.study.reporting.results import Outcome, Results
from cv_attention.study.running.at_test import GATES_REPLACED


def methods_text(plan: Plan, results: Results, commands: Sequence[str]) -> str:
    """Returns ``methods.md``: what was done, as a paper's methods say it, with every command.

    Args:
        plan: The study.
        results: What is shown of its results.
        commands: The commands that trained and reported it, in their order; repeated ones are listed once.
    """
    main = next((part.main for part in results.parts if part.main), None)
    parts = [
        *_design(plan, results),
        *_tuning(plan),
        *_seal(results),
        *(_verdicts(plan, main) if main and main.tables else ()),
        *_gates(plan),
        *_failed(results),
        *_provenance(results.outcomes),
        *results.notes,
    ]
    text = " ".join(part if part.endswith(".") else f"{part}." for part in parts)
    listed = "\n".join(dict.fromkeys(commands))
    return f"# Methods of {plan.name}\n\n{text}\n\n```sh\n{listed}\n```\n"


def _design(plan: Plan, results: Results) -> Iterator[str]:
    recipes = f" by {len(plan.recipes)} recipes ({', '.join(plan.recipes)})" if len(plan.recipes) > 1 else ""
    seeds = ", ".join(map(str, plan.seeds[: results.planned]))
    yield (
        f"{len(plan.arms)} networks ({', '.join(arm.name for arm in plan.arms)}) were trained{recipes} with "
        f"{results.planned} seeds ({seeds}), in complete blocks: in a block, all networks share the seed, and thus the "
        "initial weights of the backbone and the order and augmentation of the images."
    )


def _tuning(plan: Plan) -> Iterator[str]:
    if plan.file.tune.values:
        options = "; ".join(f"{name}: {', '.join(map(str, values))}" for name, values in plan.file.tune.values.items())
        yield (
            f"For each network and recipe, the best of {len(plan.candidates())} combinations ({options}) was chosen on "
            f"the validation split, with {plan.file.tune.seeds} training runs each and seeds that are not among those "
            "above."
        )


def _seal(results: Results) -> Iterator[str]:
    if results.screen:
        yield (
            f"This is a screen: the metric is the validation {results.metric} of the epoch that it selects, no test "
            "result was looked at, and the seeds are not those of a study that confirms it."
        )
    elif results.sealed:
        yield f"So far {results.blocks} blocks are complete, and only the validation {results.metric} is shown."
    else:
        yield (
            f"The network of the epoch that the validation split selects was tested once; the metric is the test "
            f"{results.metric}. This tool showed no test result before all planned blocks were complete."
        )


def _verdicts(plan: Plan, main: Comparison) -> Iterator[str]:
    method = f" ({main.tables[0].method})" if main.tables[0].method else ""
    margin = ""
    if main.margin is not None:
        unit = Unit(main.metric)
        shown = f"{unit.plain(main.margin)}{unit.points}"
        margin = f"; equivalence within ±{shown}, a margin fixed in the study file, is shown by two one-sided tests"
    yield (
        f"Differences to {plan.reference} have simultaneous {100 * (1 - main.alpha):.10g} % intervals{method}{margin}."
    )


def _gates(plan: Plan) -> Iterator[str]:
    if GATES_REPLACED in plan.file.controls.at_test:
        yield (
            "After its test, each network with gates was tested again with each gate, and with all of them, replaced "
            "by its mean over the validation split; intervals are Student's, with Bonferroni's correction for the "
            "gates of a network."
        )


def _failed(results: Results) -> Iterator[str]:
    if count := len(results.failed):
        yield f"{count} of {len(results.outcomes)} training runs failed; they are listed, not replaced."


def _provenance(outcomes: Sequence[Outcome]) -> Iterator[str]:
    machines, versions = set(), set()
    for outcome in outcomes:
        hardware, made = outcome.summary.get("hardware") or {}, outcome.summary.get("provenance") or {}
        if hardware:
            threads = f"{hardware.get('threads')} thread{'s' * (hardware.get('threads') != 1)}"
            machines.add(f"{hardware.get('device')}, {threads}, {hardware.get('precision')}")
        if made:
            versions.add(f"cv_attention {made.get('cv_attention')} with torch {made.get('torch')}")
    if machines:
        yield f"Hardware: {'; '.join(sorted(machines))}."
    if versions:
        yield f"Software: {'; '.join(sorted(versions))}."
