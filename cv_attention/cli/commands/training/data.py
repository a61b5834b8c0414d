"""``cv-attention data check``: reads a data set once and lists what is wrong with it."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cv_attention.cli.errors import UserError, user_errors
from cv_attention.cli.parsing import experiment_parser, parse, to_experiment
from cv_attention.cli.places import check_folder
from cv_attention.tables import text_table

if TYPE_CHECKING:
    from cv_attention.data.inspection import Inspection

_SHOWN = 3  # places of a finding


def run(arguments: Sequence[str]) -> None:
    """Prints the findings, errors first; the exit code is 1 if there are errors."""
    if arguments[:1] not in (["check"], ["-h"], ["--help"]):
        got = f", got {arguments[0]}" if arguments else ""
        raise UserError(f"cv-attention data is followed by check{got}: cv-attention data check --data.root photos")
    parser = experiment_parser("cv-attention data check")
    parser.set_defaults({"data.name": "folder"})
    parser.add_argument("-o", "--output", type=str, metavar="OUT", help="Folder for findings.json and a contact sheet.")
    options = parse(parser, arguments[1:] if arguments[0] == "check" else arguments)
    if options.output:
        check_folder(Path(options.output))
    config = to_experiment(parser, options).data
    with user_errors():
        from cv_attention.data.inspection import inspect

        inspection = inspect(config, _progress if sys.stderr.isatty() else lambda done, total: None)
    print(_text(inspection))
    if options.output:
        with user_errors():
            _write(inspection, Path(options.output), config.bits)
    errors = sum(len(found.places) for found in inspection.findings if found.severity == "error")
    if errors:
        raise UserError(f"{errors:,} errors in '{config.root}'", code=1)


def _progress(done: int, total: int) -> None:
    if done == total or done % 100 == 0:
        end = "\n" if done == total else ""
        print(f"\r{done:,} of {total:,} images", end=end, file=sys.stderr, flush=True)


def _text(inspection: "Inspection") -> str:
    images = ", ".join(f"{count:,} {split}" for split, count in inspection.images.items()) or "no"
    lines = [f"{images} images{_labels(inspection)}"]
    if inspection.sizes:
        smallest, middle, largest = (f"{height}×{width}" for height, width in inspection.sizes)
        lines.append(f"height × width: smallest {smallest}, median {middle}, largest {largest}")
        mean, std = (", ".join(f"{value:.3f}" for value in values) for values in (inspection.mean, inspection.std))
        lines.append(f"training images: mean {mean}; standard deviation {std}")
    if not inspection.findings:
        return "\n".join([*lines, "nothing wrong found"])
    for found in inspection.findings:
        count = len(found.places)
        lines += ["", f"{found.severity}: {found.text} ({count:,})"]
        lines += [f"  {place}" for place in found.places[:_SHOWN]]
        lines += [f"  and {count - _SHOWN:,} more"] * (count > _SHOWN)
    counted = [(each.severity, each.kind, len(each.places)) for each in inspection.findings]
    return "\n".join([*lines, "", text_table(["", "finding", "places"], counted)])


def _labels(inspection: "Inspection") -> str:
    if inspection.numbers:
        return " of " + ", ".join(f"{name} {least:g} to {most:g} (median {middle:g})"
                                  for name, (least, middle, most) in inspection.numbers.items())  # fmt: skip
    images, labels = sum(inspection.images.values()), sum(inspection.classes.values())
    each = "" if labels == images else f", {labels / max(images, 1):.2f} of them each"
    return f" of {len(inspection.classes):,} classes{each}" if inspection.classes else ""


def _write(inspection: "Inspection", out: Path, bits: int | None) -> None:
    from cv_attention.data.inspection.contact_sheet import contact_sheet

    out.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {
        "images": inspection.images,
        "classes": inspection.classes,
        "numbers": inspection.numbers,
        "sizes": inspection.sizes,
        "mean": inspection.mean,
        "std": inspection.std,
        "findings": [asdict(found) for found in inspection.findings],
    }
    (out / "findings.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    contact_sheet(inspection.facts, bits).save(out / "contact_sheet.png")
    print(f"all places: {out / 'findings.json'}; images of each class: {out / 'contact_sheet.png'}")
