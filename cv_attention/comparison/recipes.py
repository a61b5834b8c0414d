"""Which runs belong together: the same network, recipe and data, whatever else their configurations say."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cv_attention.comparison.fields import SILENT_EXTRA, Kind, kind
from cv_attention.comparison.runs import Run

Part = dict[str, str]  # field -> its value in one canonical writing


def part(run: Run, wanted: Kind) -> Part:
    """Returns the fields of one kind that can matter in this run."""
    config = run.config
    unused = _unused(config)
    return {
        name: canonical(name, value)
        for name, value in sorted(config.items())
        if kind(name) is wanted and not name.startswith(unused)
    }


def _unused(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Fields, or beginnings of their names, that do nothing with the values of the others."""
    unused = ["data.root"]  # the images count, see `data_of`
    drawn, folds = config["data.name"] == "cluttered_digits", config["data.split_file"] is not None
    if not drawn:
        unused.append("data.digits.")
    if drawn or folds:
        unused += ["data.val_fraction", "data.seed"]
    if config["model.block"] is None:
        unused += ["model.at", "model.init", "optimizer.lr_scale.blocks"]
    return tuple(unused)


def canonical(name: str, value: Any) -> str:
    """Writes a value so that equal ones look the same: ``[residual]`` and ``residual``, ``{name: se}`` and ``se``."""
    if name == "model.at" and isinstance(value, list) and len(value) == 1:
        value = value[0]
    if name == "model.block" and isinstance(value, Mapping) and list(value) == ["name"]:
        value = value["name"]
    if name == "trainer.extra" and isinstance(value, Mapping):
        value = {key: one for key, one in value.items() if key not in SILENT_EXTRA}
    return value if isinstance(value, str) else json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """Turns whole floats into integers, so that 1.0 is 1, and keys into text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def data_of(runs: Sequence[Run]) -> list[Part]:
    """Returns what tells the data of each run from the others'.

    Images are the same where the fingerprints in the summaries are, wherever they lie. A run of an older version has
    no fingerprint; it had the images of those with the same ``data.root``.
    """
    places: dict[tuple[str, str], set[str]] = {}
    for run in runs:
        if found := _fingerprint(run):
            places.setdefault(_place(run), set()).add(found)
    parts = []
    for run in runs:
        known = places.get(_place(run), set())
        images = _fingerprint(run) or (next(iter(known)) if len(known) == 1 else None)
        fields = part(run, Kind.DATA)
        if run.config["data.name"] != "cluttered_digits":
            fields |= {"images": images} if images else {"data.root": _place(run)[1]}
        if "data.split_file" in fields and (folds := _recorded(run).get("folds")):
            fields["data.split_file"] = f"folds {folds['digest']}"
        parts.append(fields)
    return parts


def _recorded(run: Run) -> Mapping[str, Any]:
    return run.summary.get("data") or {}


def _fingerprint(run: Run) -> str | None:
    return _recorded(run).get("fingerprint")


def _place(run: Run) -> tuple[str, str]:
    return str(run.config["data.name"]), str(run.config["data.root"]).rstrip("/")


def varying(parts: Iterable[Part]) -> list[str]:
    """Lists the fields that have several values; one that some parts have no use for may still have a single value."""
    parts = list(parts)
    known = dict.fromkeys(name for one in parts for name in one)
    return [name for name in known if len({one[name] for one in parts if name in one}) > 1]


def network_labels(networks: Sequence[Part]) -> list[str]:
    """Names each network by its block, and by whatever else tells it from the others."""
    others = [name for name in varying(networks) if name != "model.block"]
    labels = [", ".join(filter(None, [_block(one["model.block"]), label(one, others)])) for one in networks]
    return [
        text if labels.count(text) == 1 else f"{one['model.block']}, {label(one, others)}".rstrip(", ")
        for text, one in zip(labels, networks, strict=True)
    ]


def label(fields: Part, names: Iterable[str]) -> str:
    """Writes the values of some fields in one line."""
    return ", ".join(_said(name, fields[name]) for name in names if name in fields)


def _said(name: str, value: str) -> str:
    return f"{name} {value}"


def _block(text: str) -> str:
    """Names a block: ``plain`` for none, ``cbam (reduction 8)`` for one with options."""
    if text == "null":
        return "plain"
    if not text.startswith("{"):
        return text
    spec = json.loads(text)
    name = spec.get("name") or str(spec.get("class_path", "")).rsplit(".", 1)[-1]
    if not name:  # several blocks at several places
        return " + ".join(f"{_block(canonical('model.block', one))} at {place}" for place, one in spec.items())
    options = spec.get("init_args") or {key: value for key, value in spec.items() if key not in ("name", "class_path")}
    return f"{name} ({', '.join(f'{key} {value}' for key, value in options.items())})" if options else name
