"""Writes the results of a study: trials as CSV, tables, all figures as JSON, charts, and a paragraph of methods."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cv_attention.comparison import text as words
from cv_attention.rundir import sealed
from cv_attention.rundir.code_version import code_version
from cv_attention.rundir.files import write_text
from cv_attention.study.design.plan import Plan
from cv_attention.study.record import STUDY_FORMAT, Record, StudyFolder
from cv_attention.study.reporting.charts import forest, front
from cv_attention.study.reporting.gates import gates_text, gates_values
from cv_attention.study.reporting.methods import methods_text
from cv_attention.study.reporting.page import write_page
from cv_attention.study.reporting.results import Outcome, Results

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for a formula
_COLUMNS = (
    "arm",
    "recipe",
    "seed",
    "state",
    "validation",
    "test",
    "parameters",
    "flops",
    "training_seconds",
    "hardware",
)


def write_outputs(
    plan: Plan, folder: StudyFolder, record: Record, results: Results, costs: Mapping[str, Any], commands: Sequence[str]
) -> None:
    """Writes ``results.csv``, ``table.md``, ``study.json``, ``forest.svg``, ``front.svg``, ``methods.md`` and the page.

    Args:
        plan: The study.
        folder: Its folder.
        record: What it has fixed.
        results: What is shown of its results.
        costs: What ``costs.json`` holds; empty takes FLOPs for the costs.
        commands: Commands that train and report the study.
    """
    results = _portable(results, folder)
    relative, measured = relative_costs(results, costs)
    files = {
        "results.csv": rows_text(results),
        "table.md": table_text(plan, record, results, folder),
        "study.json": _json(plan, folder, record, results, costs),
        "forest.svg": forest(results),
        "front.svg": front(results, relative, measured),
        "methods.md": methods_text(plan, results, [*record.commands, *commands]),
    }
    for name, content in files.items():
        write_text(folder.out / name, content)
    texts = {
        "status": _status(plan, results),
        "measured": measured,
        "methods": files["methods.md"],
        "matched": _matched(plan),
        "tuned": _tuned(record),
    }
    write_page(plan, folder, results, relative, texts)


def _portable(results: Results, folder: StudyFolder) -> Results:
    """Shortens paths in the reasons of failures: files are passed on, and a study folder may be moved."""
    outcomes = (replace(o, reason=o.reason.replace(f"{folder.trials}/", "trials/")) for o in results.outcomes)
    return replace(results, outcomes=tuple(outcomes))


def relative_costs(results: Results, costs: Mapping[str, Any]) -> tuple[dict[str, float], str]:
    """Returns the cost of each arm relative to the reference's, and what it is."""
    rows = [row for part in results.parts[:1] if part.main for table in part.main.tables for row in table.rows]
    reference = next((row.label for row in rows if row.reason == "the reference"), None)
    steps = costs.get("steps") or {}
    if reference in steps:
        where = f"training step, relative to {reference}, measured in turns on {costs.get('machine')}"
        return {arm: seconds / steps[reference] for arm, seconds in steps.items()}, where
    base = next((row.flops for row in rows if row.label == reference and row.flops), None)
    if not base:
        return {}, "no costs are known"
    return {
        row.label: row.flops / base for row in rows if row.flops
    }, f"FLOPs of the forward pass, relative to {reference}"


def rows_text(results: Results) -> str:
    """Returns ``results.csv``: one line per trial; the test's column is empty while it is sealed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_COLUMNS[:4], *(f"{s}_{results.metric}" for s in _COLUMNS[4:6]), *_COLUMNS[6:], "run", "reason"])
    for outcome in results.outcomes:
        known = outcome.summary
        hardware = known.get("hardware") or {}
        machine = ", ".join(str(hardware[name]) for name in ("device", "precision") if name in hardware)
        row = [outcome.trial.arm, outcome.trial.recipe, outcome.trial.seed, outcome.state]
        row += [(known.get(section) or {}).get(results.metric) for section in ("validation", "test")]
        row += [known.get(name) for name in ("parameters", "flops", "training_seconds")]
        writer.writerow([_cell(value) for value in [*row, machine, outcome.trial.name, outcome.reason]])
    return out.getvalue()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULAS) else value


def table_text(plan: Plan, record: Record, results: Results, folder: StudyFolder) -> str:
    """Returns ``table.md``: verdicts, A/A arms, controls, failed trials and notes; it holds no times."""
    lines = [f"# {plan.name}", "", *_status(plan, results)]
    for part in results.parts:
        lines += ["", f"## {part.recipe}"] if part.recipe else []
        lines += (
            ["", words.text(part.main, markdown=True, timed=False)] if part.main else ["", "Nothing has finished yet."]
        )
        lines += [f"\n{line}" for line in part.honest]
        for network, found in part.controls.items():
            lines += ["", f"### Controls of {network}, each minus {network}", ""]
            lines += [words.text(found, markdown=True, timed=False)]
        lines += gates_text(part.gates, results.metric)
    if results.interaction is not None and (first := results.parts[0].main):
        lines += ["", words.interaction_text(results.interaction, first.alpha)]
    lines += ["", *_failures(results.failed)] if results.failed else []
    for title, entries in (("Matched", _matched(plan)), ("Tuned", _tuned(record)), ("Notes", results.notes)):
        lines += ["", f"## {title}", "", *(f"- {entry}" for entry in entries)] if entries else []
    text = "\n".join(lines).rstrip() + "\n"
    return text.replace(f"{folder.trials}/", "trials/")


def _status(plan: Plan, results: Results) -> list[str]:
    if not results.sealed:
        return [f"Test results of {results.blocks} complete blocks (seeds) of {len(plan.arms)} arms."]
    if results.screen:
        return [
            f"A screen of {len(plan.arms)} arms: validation results of {results.blocks} of {results.planned} blocks "
            "(seeds). They are optimistic, since they chose the epoch; a study with other seeds has to confirm what "
            "they show."
        ]
    return [
        f"Validation only: {results.blocks} of {results.planned} blocks (seeds) are complete. The test results are "
        "sealed until all are; validation figures are optimistic, since they chose the epoch."
    ]


def _failures(failed: Sequence[Outcome]) -> list[str]:
    lines = [f"## Failed: {len(failed)} training run{'s' * (len(failed) != 1)}", ""]
    return [*lines, *(f"- {outcome.trial}: {outcome.reason} (trials/{outcome.trial.name})" for outcome in failed)]


def _matched(plan: Plan) -> list[str]:
    return [f"{arm.name}: {arm.note}" for arm in plan.arms if arm.note]


def _tuned(record: Record) -> list[str]:
    return [
        f"{entry['arm']}{', ' + entry['recipe'] if entry['recipe'] else ''}: "
        + ", ".join(f"{name} {value}" for name, value in entry["values"].items())
        for entry in record.chosen
    ]


def _json(plan: Plan, folder: StudyFolder, record: Record, results: Results, costs: Mapping[str, Any]) -> str:
    content = {
        "cv_attention": code_version(),
        "name": plan.name,
        "plan": record.plan,
        "changes": record.changes,
        "chosen": record.chosen,
        "split": results.split,
        "sealed": results.sealed,
        "screen": results.screen,
        "blocks": results.blocks,
        "planned_blocks": results.planned,
        "metric": results.metric,
        "interaction": results.interaction,
        "notes": list(results.notes),
        "recipes": [
            {
                "name": part.recipe,
                "comparison": part.main.to_dict() if part.main else None,
                "controls": {name: found.to_dict() for name, found in part.controls.items()},
                "a_a": list(part.honest),
                "gates_replaced": [gates_values(gates) for gates in part.gates],
            }
            for part in results.parts
        ],
        "trials": [_trial(outcome) for outcome in results.outcomes],
        "costs": dict(costs),
    }
    text = json.dumps(content, default=str).replace(json.dumps(f"{folder.trials}/")[1:-1], "trials/")
    return json.dumps(sealed(json.loads(text), STUDY_FORMAT), indent=1) + "\n"


def _trial(outcome: Outcome) -> dict[str, Any]:
    trial, known = outcome.trial, outcome.summary
    names = (
        "validation",
        "test",
        "parameters",
        "flops",
        "training_seconds",
        "images_per_second",
        "hardware",
        "provenance",
    )
    return {
        "run": trial.name, "arm": trial.arm, "recipe": trial.recipe, "seed": trial.seed, "state": outcome.state,
        "reason": outcome.reason, **{name: known[name] for name in names if name in known},
    }  # fmt: skip
