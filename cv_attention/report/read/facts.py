"""Lists the few facts of a run that a reader wants to see first."""

import json
from typing import Any

from cv_attention.report.read.run_directory import Run

_COSTS = ("parameters", "flops", "images_per_second", "training_seconds")


def facts(run: Run) -> list[tuple[str, str]]:
    """Returns (label, text) pairs on network, data and training, as far as the run directory records them."""
    if run.export:
        return _export_facts(run)
    model, own = _part(run.config, "model"), _part(run.summary, "data")
    # of a data module of one's own, the configuration says nothing
    data = {"name": own["module"], **own} if "module" in own else _part(run.config, "data")
    optimizer, trainer = _part(run.config, "optimizer"), _part(run.config, "trainer")
    reads = run.summary.get("task") == "reading" or data.get("name") in ("digit_strings", "text")
    found = [
        ("Backbone", _backbone(model)),
        ("Attention", _block(model) if reads else _attention(model, run.summary.get("task"))),
        ("Head", _head(model) if reads else ""),
        ("Data", _text(data.get("name"))),
        ("Classes", str(len(run.class_names) or "")),
        ("Parameters", _count(run.summary.get("parameters"))),
        ("FLOPs of one image", _large(run.summary.get("flops"))),
        ("Images per second", _text(run.summary.get("images_per_second"))),
        ("Epochs", _text(trainer.get("max_epochs"))),
        ("Batch size", _text(data.get("batch_size"))),
        ("Optimizer", _optimizer(optimizer)),
        ("Precision", _text(trainer.get("precision"))),
        ("Trained on", _machine(_part(run.summary, "hardware"))),
        ("Training time", _duration(run.summary.get("training_seconds"))),
        ("Seed", _text(run.config.get("seed"))),
    ]
    return [(label, text) for label, text in found if text]


def _export_facts(run: Run) -> list[tuple[str, str]]:
    about, size = run.config, run.config.get("image_size")
    found = [
        ("Saliency method", _each(about.get("method"))),
        ("Layer", _each(about.get("layer"))),
        ("Explained class", _text(about.get("target"))),
        ("Checkpoint", _text(about.get("checkpoint"))),
        ("Images", f"{len(run.recording.probes):,}"),
        ("Predicted correctly", _text(run.summary.get("right"))),
        ("Classes", str(len(run.class_names) or "")),
        ("Image size", " × ".join(map(str, size)) if isinstance(size, list) else ""),
    ]
    return [(label, text) for label, text in found if text]


def costs(run: Run) -> dict[str, Any]:
    """Returns costs for the table of several runs; None where the run does not have them."""
    model = _part(run.config, "model")
    known = {name: _number(run.summary.get(name)) for name in _COSTS}
    return {"backbone": _backbone(model), "attention": _attention(model, run.summary.get("task")), **known}


def results(run: Run) -> list[tuple[str, float]]:
    """Returns (metric, value) of the test split; empty if the run was not tested."""
    test = run.summary.get("test")
    if not isinstance(test, dict):
        return []
    return [
        (str(name).removeprefix("test").strip("_/") or str(name), float(value))
        for name, value in test.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
    ]


def _part(config: dict[str, Any], name: str) -> dict[str, Any]:
    part = config.get(name)
    return part if isinstance(part, dict) else {}


def _number(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
    return value if good else None


def _large(value: Any) -> str:
    """Formats a large count with its unit: 81.9 M."""
    number = _number(value)
    if not number:
        return ""
    power, unit = next((p for p in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")) if number >= p[0]), (1, ""))
    return f"{number / power:.3g} {unit}".strip()


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, dict | list) else str(value)


def _each(value: Any) -> str:
    """Joins what an export of several methods says of each; one that is the same for all is said once."""
    if isinstance(value, dict):
        known = [_text(one) for one in value.values() if one is not None]
        return ", ".join(dict.fromkeys(known))
    return ", ".join(map(_text, value)) if isinstance(value, list) else _text(value)


def _machine(hardware: dict[str, Any]) -> str:
    """Names the device, and how many of them or of threads: ``AMD EPYC, 2 threads``."""
    devices, threads = hardware.get("devices"), hardware.get("threads")
    count = f"{devices} × " if isinstance(devices, int) and devices > 1 else ""
    on_processor = hardware.get("accelerator") == "cpu" and isinstance(threads, int)
    used = f", {threads} thread{'' if threads == 1 else 's'}" if on_processor else ""
    return f"{count}{_text(hardware['device'])}{used}" if hardware.get("device") else ""


def _duration(value: Any) -> str:
    """Formats seconds: 42 s, 5 min 3 s, 2 h 7 min."""
    number = _number(value)
    if not number:
        return ""
    seconds = round(number)
    if seconds < 60:
        return f"{number:.3g} s"
    whole, rest, units = (*divmod(seconds, 60), "min s") if seconds < 3600 else (*divmod(seconds // 60, 60), "h min")
    large, small = units.split()
    return f"{whole} {large} {rest} {small}"


def settings(config: dict[str, Any], before: str = "") -> dict[str, str]:
    """Returns every value of a configuration as text, under its dotted name."""
    found: dict[str, str] = {}
    for name, value in config.items():
        place = f"{before}{name}"
        if isinstance(value, dict) and value:
            found |= settings(value, f"{place}.")
        else:
            found[place] = json.dumps(value, default=str, ensure_ascii=False).strip('"')
    return found


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _backbone(model: dict[str, Any]) -> str:
    name = _text(model.get("backbone"))
    return f"{name}, pretrained" if name and model.get("pretrained") else name


def _attention(model: dict[str, Any], task: Any = None) -> str:
    """The block and the head, whose place is said where it pools; a list is what `model.head` was called before."""
    block, head = _block(model), model.get("head")
    if not isinstance(head, str | dict):
        return block
    place = {} if task in ("reading", "recall") else {"at": "pool"}
    return ", ".join([*([] if block in ("", "none") else [block]), _block({"block": head, **place})])


def _block(model: dict[str, Any]) -> str:
    if "block" not in model:
        return ""
    block = model["block"]
    if block is None:
        return "none"
    if isinstance(block, dict):
        if not block.keys() & {"name", "class_path"}:  # different blocks at different places
            return ", ".join(f"{_block({'block': one})} at {place}" for place, one in block.items())
        options = {**block, **_part(block, "init_args")}
        name = options.pop("name", None) or str(options.pop("class_path", "?")).rsplit(".", 1)[-1]
        rest = ", ".join(f"{k}={v}" for k, v in options.items() if k not in ("init_args", "class_path"))
        block = f"{name} ({rest})" if rest else str(name)
    at = model.get("at")
    where = ", ".join(map(str, at)) if isinstance(at, list) else _text(at)
    return f"{block} at {where}" if where else str(block)


def _head(model: dict[str, Any]) -> str:
    """Names the head that writes texts, with its options; empty for a classifier's."""
    head = model.get("head")
    return _block({"block": head}) if head is not None else ""


def _optimizer(optimizer: dict[str, Any]) -> str:
    parts = [_text(optimizer.get("name")), _text(optimizer.get("schedule"))]
    if optimizer.get("lr") is not None:
        parts.insert(1, f"lr {_text(optimizer['lr'])}")
    return ", ".join(part for part in parts if part)
