"""The few facts of a run that a reader wants to see first."""

from typing import Any

from cv_attention.report.run import Run


def facts(run: Run) -> list[tuple[str, str]]:
    """Returns (label, text) pairs: what was trained, on what, how; only what the run directory knows."""
    model, data = _part(run.config, "model"), _part(run.config, "data")
    optimizer, trainer = _part(run.config, "optimizer"), _part(run.config, "trainer")
    found = [
        ("Backbone", _backbone(model)),
        ("Attention", _block(model)),
        ("Data", _text(data.get("name"))),
        ("Classes", str(len(run.class_names) or "")),
        ("Parameters", _count(run.summary.get("parameters"))),
        ("Epochs", _text(trainer.get("max_epochs"))),
        ("Batch size", _text(data.get("batch_size"))),
        ("Optimizer", _optimizer(optimizer)),
        ("Precision", _text(trainer.get("precision"))),
        ("Seed", _text(run.config.get("seed"))),
    ]
    return [(label, text) for label, text in found if text]


def results(run: Run) -> list[tuple[str, float]]:
    """Returns (metric, value) of the test split; empty where the run was not tested."""
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


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, dict | list) else str(value)


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _backbone(model: dict[str, Any]) -> str:
    name = _text(model.get("backbone"))
    return f"{name}, pretrained" if name and model.get("pretrained") else name


def _block(model: dict[str, Any]) -> str:
    if "block" not in model:
        return ""
    block = model["block"]
    if block is None:
        return "none"
    if isinstance(block, dict):
        options = {**block, **_part(block, "init_args")}
        name = options.pop("name", None) or str(options.pop("class_path", "?")).rsplit(".", 1)[-1]
        rest = ", ".join(f"{k}={v}" for k, v in options.items() if k not in ("init_args", "class_path"))
        block = f"{name} ({rest})" if rest else str(name)
    at = model.get("at")
    where = ", ".join(map(str, at)) if isinstance(at, list) else _text(at)
    return f"{block} at {where}" if where else str(block)


def _optimizer(optimizer: dict[str, Any]) -> str:
    parts = [_text(optimizer.get("name")), _text(optimizer.get("schedule"))]
    if optimizer.get("lr") is not None:
        parts.insert(1, f"lr {_text(optimizer['lr'])}")
    return ", ".join(part for part in parts if part)
