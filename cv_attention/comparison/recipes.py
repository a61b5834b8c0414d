"""Groups runs that share network, recipe and data."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cv_attention.comparison.fields import SILENT_EXTRA, Kind, kind
from cv_attention.comparison.runs import Run

Part = dict[str, str]  # field -> its value in one canonical writing
# What goes with a block; without one, all but the first do nothing.
OF_BLOCKS = ("model.block", "model.at", "model.init", "optimizer.lr_scale.blocks")


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
        unused += OF_BLOCKS[1:]
    return tuple(unused)


def canonical(name: str, value: Any) -> str:
    """Writes a value so that equal ones look the same: ``[residual]`` and ``residual``, ``{name: se}`` and ``se``."""
    if name == "model.at" and isinstance(value, list) and len(value) == 1:
        value = value[0]
    if name == "model.block" and isinstance(value, Mapping) and list(value) == ["name"]:
        value = value["name"]
    if name == "trainer.extra" and isinstance(value, Mapping):
        value = {key: one for key, one in value.items() if key not in SILENT_EXTRA}
    if isinstance(value, str):
        return value
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, default=str)


def _plain(value: Any) -> Any:
    """Turns whole floats into integers, so that 1.0 is 1, and keys into text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def data_of(runs: Sequence[Run]) -> list[Part]:
    """Returns what tells the data of each run from the others'.

    Images are the same where the fingerprints in the summaries are, wherever they lie, and folds where their digests
    are. A run of an older version has neither; it had the images of those with the same ``data.root``, and the folds of
    those with the same ``data.split_file``.
    """
    images = _recorded_or_alike(runs, _fingerprint, _place)
    folds = _recorded_or_alike(runs, _digest, lambda run: str(run.config["data.split_file"]))
    parts = []
    for run, fingerprint, digest in zip(runs, images, folds, strict=True):
        fields = part(run, Kind.DATA)
        if run.config["data.name"] != "cluttered_digits":
            fields |= {"images": fingerprint} if fingerprint else {"data.root": _place(run)[1]}
        if run.config["data.split_file"] is not None and digest:
            fields["data.split_file"] = f"folds {digest}"
        parts.append(fields)
    return parts


def _recorded_or_alike(
    runs: Sequence[Run], recorded: Callable[[Run], str | None], place: Callable[[Run], Any]
) -> list[str | None]:
    """What each run has recorded; for one that has not, what those of the same place have, if they agree."""
    known: dict[Any, set[str]] = {}
    for run in runs:
        if found := recorded(run):
            known.setdefault(place(run), set()).add(found)
    alike = {where: next(iter(found)) for where, found in known.items() if len(found) == 1}
    return [recorded(run) or alike.get(place(run)) for run in runs]


def _recorded(run: Run) -> Mapping[str, Any]:
    return run.summary.get("data") or {}


def _fingerprint(run: Run) -> str | None:
    return _recorded(run).get("fingerprint")


def _digest(run: Run) -> str | None:
    return (_recorded(run).get("folds") or {}).get("digest")


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
    try:
        spec = json.loads(text)
    except ValueError:  # a name that begins like a mapping
        return text
    name = spec.get("name") or str(spec.get("class_path", "")).rsplit(".", 1)[-1]
    if not name:  # several blocks at several places
        return " + ".join(f"{_block(canonical('model.block', one))} at {place}" for place, one in spec.items())
    rest = {key: value for key, value in spec.items() if key not in ("name", "class_path", "init_args")}
    options = rest | init if isinstance(init := spec.get("init_args") or {}, dict) else rest | {"init_args": init}
    return f"{name} ({', '.join(f'{key} {value}' for key, value in options.items())})" if options else name
