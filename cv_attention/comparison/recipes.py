"""Groups runs that share network, recipe and data."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cv_attention.blocks.catalogue import CATALOGUE
from cv_attention.comparison.fields import SILENT_EXTRA, Kind, kind
from cv_attention.comparison.runs import Run

Part = dict[str, str]  # field -> its value in canonical form
# Fields that belong to a block; without a block, all but the first have no effect.
OF_BLOCKS = ("model.block", "model.at", "model.init", "optimizer.lr_scale.blocks")
# What makes a network differ from its backbone.
OF_ATTENTION = ("model.block", "model.head")

# Data sets that are drawn, not read, and the fields that say how.
DRAWN = {"cluttered_digits": "data.digits", "digit_bags": "data.bags", "digit_strings": "data.strings"}


def part(run: Run, wanted: Kind) -> Part:
    """Returns the fields of one kind that have an effect in this run."""
    config = run.config
    unused = _unused(config)
    return {
        name: canonical(name, value)
        for name, value in sorted(config.items())
        if kind(name) is wanted and not name.startswith(unused)
    }


def _unused(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Lists fields, or prefixes of their names, that have no effect given the values of the others."""
    unused = ["data.root"]  # only the images matter, see `data_of`
    folds = config["data.split_file"] is not None
    unused += [f"{fields}." for name, fields in DRAWN.items() if name != config["data.name"]]
    unused += [f"data.{name}." for name in ("text", "episodes", "table") if name != config["data.name"]]
    if config["data.name"] in DRAWN or folds:
        unused.append("data.val_fraction")
    if config["data.name"] in DRAWN:
        unused.append("data.test_fraction")
    if config["data.name"] in DRAWN or (folds and config["data.test_fraction"] is None):
        unused.append("data.seed")
    if config["model.block"] is None:  # a head has its place
        unused += OF_BLOCKS[1:] if config["model.head"] is None else ("model.at",)
    return tuple(unused)


def canonical(name: str, value: Any) -> str:
    """Formats a value in canonical form: ``[residual]`` equals ``residual``, ``{name: se}`` equals ``se``."""
    if name == "model.at" and isinstance(value, list) and len(value) == 1:
        value = value[0]
    if name in OF_ATTENTION and isinstance(value, Mapping) and list(value) == ["name"]:
        value = value["name"]
    if name == "trainer.extra" and isinstance(value, Mapping):
        value = {key: option for key, option in value.items() if key not in SILENT_EXTRA}
    if isinstance(value, str):
        return value
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, default=str)


def _plain(value: Any) -> Any:
    """Converts integral floats to integers, so that 1.0 equals 1, and keys to strings."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def data_of(runs: Sequence[Run]) -> list[Part]:
    """Returns the fields that identify the data of each run.

    Images are the same if the fingerprints in the summaries are, wherever the files are, and folds if their digests
    are. Runs of older versions have neither; they are matched to runs with the same ``data.root`` and the same
    ``data.split_file``.
    """
    images = _recorded_or_alike(runs, _fingerprint, _place)
    folds = _recorded_or_alike(runs, _digest, lambda run: str(run.config["data.split_file"]))
    parts = []
    for run, fingerprint, digest in zip(runs, images, folds, strict=True):
        fields = part(run, Kind.DATA)
        if run.config["data.name"] not in DRAWN:
            fields |= {"images": fingerprint} if fingerprint else {"data.root": _place(run)[1]}
        if run.config["data.split_file"] is not None and digest:
            fields["data.split_file"] = f"folds {digest}"
        parts.append(fields)
    return parts


def _recorded_or_alike(
    runs: Sequence[Run], recorded: Callable[[Run], str | None], place: Callable[[Run], Any]
) -> list[str | None]:
    """Returns each run's recorded value; if it has none, that of the runs at the same place, provided they agree."""
    known: dict[Any, set[str]] = {}
    for run in runs:
        if fingerprint := recorded(run):
            known.setdefault(place(run), set()).add(fingerprint)
    alike = {where: next(iter(fingerprint)) for where, fingerprint in known.items() if len(fingerprint) == 1}
    return [recorded(run) or alike.get(place(run)) for run in runs]


def _recorded(run: Run) -> Mapping[str, Any]:
    return run.summary.get("data") or {}


def _fingerprint(run: Run) -> str | None:
    recorded = _recorded(run)
    if "module" in recorded and "fingerprint" not in recorded:
        return canonical("images", recorded.get("images"))
    return recorded.get("fingerprint")


def _digest(run: Run) -> str | None:
    return (_recorded(run).get("folds") or {}).get("digest")


def _place(run: Run) -> tuple[str, str]:
    return str(run.config["data.name"]), str(run.config["data.root"]).rstrip("/")


def varying(parts: Iterable[Part]) -> list[str]:
    """Lists the fields that have several values; fields missing from some parts are compared among the others."""
    parts = list(parts)
    known = dict.fromkeys(name for part in parts for name in part)
    return [name for name in known if len({part[name] for part in parts if name in part}) > 1]


def is_plain(network: Part) -> bool:
    """Returns whether a network has neither a block nor a head of ours."""
    return all(network[name] == "null" for name in OF_ATTENTION)


def network_labels(networks: Sequence[Part]) -> list[str]:
    """Labels each network by its block and head, and the other fields in which the networks differ."""
    others = [name for name in varying(networks) if name not in OF_ATTENTION]
    labels = [", ".join(filter(None, [_attention(network), label(network, others)])) for network in networks]
    return [
        text
        if labels.count(text) == 1
        else ", ".join([*(network[name] for name in OF_ATTENTION if network[name] != "null"), label(network, others)])
        for text, network in zip(labels, networks, strict=True)
    ]


def label(fields: Part, names: Iterable[str]) -> str:
    """Formats the values of the given fields in one line."""
    return ", ".join(_said(name, fields[name]) for name in names if name in fields)


def _said(name: str, value: str) -> str:
    return f"{name} {value}"


def _attention(network: Part) -> str:
    """Names what attends in a network: ``plain`` for nothing, ``se``, ``additive at pool``, ``gru``, or both."""
    block, head = (network[name] for name in OF_ATTENTION)
    parts = [_block(block)] if block != "null" or head == "null" else []
    return " + ".join([*parts, *([] if head == "null" else [_head(head)])])


def _head(text: str) -> str:
    """Names a head; the place is said of those that pool, and heads that write or recall have one of their own."""
    label = _block(text)
    entry = CATALOGUE.get(label.partition(" (")[0])
    return f"{label} at pool" if entry is not None and entry.family == "pooling" else label


def _block(text: str) -> str:
    """Names a block: ``plain`` for none, ``cbam (reduction 8)`` for one with options."""
    if text == "null":
        return "plain"
    if not text.startswith("{"):
        return text
    try:
        spec = json.loads(text)
    except ValueError:  # a name that starts like a mapping
        return text
    name = spec.get("name") or str(spec.get("class_path", "")).rsplit(".", 1)[-1]
    if not name:  # several blocks at several positions
        return " + ".join(f"{_block(canonical('model.block', block))} at {place}" for place, block in spec.items())
    rest = {key: value for key, value in spec.items() if key not in ("name", "class_path", "init_args")}
    options = rest | init if isinstance(init := spec.get("init_args") or {}, dict) else rest | {"init_args": init}
    return f"{name} ({', '.join(f'{key} {value}' for key, value in options.items())})" if options else name
