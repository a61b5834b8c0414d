"""Puts together what the page of a study shows, and writes it."""

from collections.abc import Mapping
from typing import Any

from cv_attention.comparison import Comparison, Row
from cv_attention.comparison import text as words
from cv_attention.comparison.tables import Table
from cv_attention.report.studies.page import ShownRun, write_study_page
from cv_attention.study.design.arms import is_cost
from cv_attention.study.design.plan import Plan
from cv_attention.study.record import StudyFolder
from cv_attention.study.reporting.differing import differing_images
from cv_attention.study.reporting.gates import Gates, gates_table
from cv_attention.study.reporting.results import Part, Results


def write_page(
    plan: Plan, folder: StudyFolder, results: Results, costs: Mapping[str, float], texts: Mapping[str, Any]
) -> None:
    """Writes ``index.html``: verdicts, forest plot and front, curves, images on which arms differ, and methods.

    Args:
        plan: The study.
        folder: Its folder.
        results: What is shown of its results; while they are sealed, the page holds nothing of the test.
        costs: Arm -> its cost relative to the reference.
        texts: ``status``, ``measured`` (what the costs are), ``methods`` and lists of lines: ``matched``, ``tuned``.
    """
    unit = words.Unit(results.metric)
    main = next((part.main for part in results.parts if part.main), None)
    study = {
        "name": plan.name,
        "sealed": results.sealed,
        "split": "validation" if results.sealed else "test",
        "metric": results.metric,
        "points": unit.points.strip() or results.metric,
        "reference": plan.reference,
        "confidence": f"{100 * (1 - plan.file.alpha):.10g} %",
        "margin": None if main is None or main.margin is None else unit.scale * main.margin,
        "higher": main is None or main.higher_is_better,
        "arms": [arm.name for arm in plan.arms],
        "recipes": [_recipe(part, results.metric, costs) for part in results.parts],
        "interaction": None
        if results.interaction is None
        else words.interaction_text(results.interaction, plan.file.alpha),
        "failed": [
            {"arm": o.trial.arm, "words": str(o.trial), "reason": o.reason, "run": o.trial.name} for o in results.failed
        ],
        "notes": list(results.notes),
        **texts,
    }
    runs = [
        ShownRun(folder.run(o.trial.name), o.trial.arm, o.trial.recipe, o.trial.seed)
        for o in results.outcomes
        if o.state == "finished"  # curves that end early would cut off the mean of their arm
    ]
    write_study_page(folder.out / "index.html", study, runs, differing_images(plan, folder, results))


def _recipe(part: Part, metric: str, costs: Mapping[str, float]) -> dict[str, Any]:
    return {
        "name": part.recipe,
        "tables": _tables(part.main, costs),
        "controls": {network: _tables(found, costs) for network, found in part.controls.items()},
        "honest": list(part.honest),
        "gates": [_gates(gates, metric) for gates in part.gates],
    }


def _gates(gates: Gates, metric: str) -> dict[str, Any]:
    head, cells = gates_table(gates, metric)
    return {"arm": gates.arm, "head": head, "cells": cells, "notes": list(gates.notes)}


def _tables(comparison: Comparison | None, costs: Mapping[str, float]) -> list[dict[str, Any]]:
    if comparison is None:
        return []
    return [
        {
            "title": table.title,
            "reference": table.reference,
            "rows": [_row(row, table, comparison, costs) for row in table.rows],
            "below": list(words.below(comparison, table)),
        }
        for table in comparison.tables
    ]


def _row(row: Row, table: Table, comparison: Comparison, costs: Mapping[str, float]) -> dict[str, Any]:
    unit = words.Unit(comparison.metric)

    def scaled(value: float | None) -> float | None:
        return None if value is None else unit.scale * value

    spread = f" ± {unit.plain(row.deviation)}" if row.deviation is not None else ""
    return {
        "arm": row.label,
        "runs": len(row.runs),
        "unfinished": len(row.unfinished),
        "value": "–" if row.mean is None else f"{unit.plain(row.mean)}{spread}",
        "difference": scaled(row.difference),
        "low": scaled(row.low),
        "high": scaled(row.high),
        "signed": None if row.difference is None else unit.signed(row.difference),
        "interval": None
        if row.low is None or row.high is None
        else f"[{unit.signed(row.low)}, {unit.signed(row.high)}]",
        "verdict": row.verdict,
        "words": words.verdict(row, table, comparison),
        "spread": words.share_of_images(row),
        "parameters": row.parameters,
        "flops": row.flops,
        "cost": costs.get(row.label),
        "useful": is_cost(row.label),
    }
