"""Formats evaluations of saliency methods for the terminal, Markdown, CSV and JSON."""

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path

from cv_attention.judging.judged import Judged, tables
from cv_attention.judging.recommendation import recommendation
from cv_attention.rundir.files import write_text
from cv_attention.tables import markdown_table, text_table


def printed(judged: Judged, width: int | None = None) -> str:
    """Formats all tables of an evaluation as text.

    Args:
        judged: What `evaluate_saliency` returned.
        width: Characters in a line of the terminal; columns that do not fit stand below. None wraps nothing.

    Returns:
        The tables, each below its title.

    Examples:
        >>> from cv_attention import judging
        >>> from cv_attention.statistics import Interval
        >>> facts = {"images": 64, "split": "test", "accuracy": 0.9, "target": "predicted"}
        >>> judged = judging.Judged(facts, table={"grad_cam": {"insertion_auc": Interval(0.61, 0.55, 0.67)}})
        >>> print(judging.printed(judged))
        64 images of the test split, accuracy on them 90.0 %; target: predicted. ...
        <BLANKLINE>
        method    insertion auc ↑
        grad_cam  0.610 [0.550, 0.670]
    """
    parts = []
    for title, header, rows in tables(judged):
        parts += [title, text_table(header, rows, left=len(header), width=width)]
    return "\n\n".join(parts)


def write(judged: Judged, out: Path) -> list[Path]:
    """Writes an evaluation as ``saliency.md``, ``saliency.csv`` and ``saliency.json``.

    Args:
        judged: What `evaluate_saliency` returned.
        out: The folder.

    Returns:
        Paths of the three files.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention import judging
        >>> from cv_attention.statistics import Interval
        >>> facts = {"images": 64, "split": "test", "accuracy": 0.9, "target": "predicted"}
        >>> judged = judging.Judged(facts, table={"grad_cam": {"insertion_auc": Interval(0.61, 0.55, 0.67)}})
        >>> [path.name for path in judging.write(judged, Path("evaluation"))]
        ['saliency.md', 'saliency.csv', 'saliency.json']
        >>> print(Path("evaluation/saliency.csv").read_text())
        method,measure,good,mean,low,high
        grad_cam,insertion_auc,high,0.61,0.55,0.67
    """
    texts = {"md": _markdown(judged), "csv": _csv(judged), "json": _json(judged)}
    for suffix, text in texts.items():
        write_text(out / f"saliency.{suffix}", text)
    return [out / f"saliency.{suffix}" for suffix in texts]


def _markdown(judged: Judged) -> str:
    parts = []
    for title, header, rows in tables(judged):
        parts += [title, markdown_table(header, rows, left=1)]
    if judged.left_out:
        parts.append("\n".join(f"- left out: {what}: {why}" for what, why in judged.left_out.items()))
    return "\n\n".join(parts) + "\n"


def _csv(judged: Judged) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["method", "measure", "good", "mean", "low", "high"])
    for method, row in judged.table.items():
        writer.writerows([method, measure, judged.good.get(measure, ""), *found] for measure, found in row.items())
    return buffer.getvalue()


def _json(judged: Judged) -> str:
    table = {name: {m: found._asdict() for m, found in row.items()} for name, row in judged.table.items()}
    attention = {name: {m: found._asdict() for m, found in row.items()} for name, row in judged.attention.items()}
    content = {"facts": judged.facts, "table": table, "agreement": judged.agreement, "attention": attention}
    verdicts = [{**asdict(v), "gain": v.gain._asdict(), "resolved": v.resolved} for v in judged.verdicts]
    said = {"verdicts": verdicts, "recommendation": recommendation(judged.verdicts)}
    return json.dumps({**content, **said, "left_out": judged.left_out}, indent=1) + "\n"
