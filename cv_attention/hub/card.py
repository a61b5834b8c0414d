"""Writes the model card of a trained network."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cv_attention.blocks.trust import class_paths_in
from cv_attention.config import Experiment, is_source
from cv_attention.hub.seeds import OverSeeds, Study
from cv_attention.tables import markdown_table

_PIPELINES = {"classification": "image-classification", "bags": "image-classification", "reading": "image-to-text"}
_CLASSES = 20  # whose names the card shows
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!&])")


@dataclass(frozen=True)
class About:
    """Holds what the card says.

    Attributes:
        title: Name of the model.
        task: Name of its task.
        experiment: The configuration, without paths of this machine.
        class_names: Names of the classes; empty for other tasks.
        summary: What ``summary.json`` holds.
        seeds: Each test metric over the seeds of the same configuration.
        study: The study that the run belongs to.
        license: Identifier of the licence; None if it is not stated.
        picture: Name of the picture of the maps; None without one.
    """

    title: str
    task: str
    experiment: Experiment
    class_names: Sequence[str]
    summary: Mapping[str, Any]
    seeds: Mapping[str, OverSeeds]
    study: Study | None
    license: str | None
    picture: str | None

    @property
    def is_sealed(self) -> bool:
        """Whether the test results are not to be shown yet."""
        return self.study is not None and self.study.sealed


def card_text(about: About) -> str:
    """Returns the model card, ``README.md``: metadata for the Hub in YAML, and a text in Markdown."""
    parts = [
        f"---\n{_metadata(about)}\n---\n",
        f"# {_plain(about.title)}\n",
        *_network(about),
        *_use(about),
        *_results(about),
        *_study(about),
        *_maps(about),
        *_data(about),
        *_training(about),
        *_licence(about),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _metadata(about: About) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    model, data = about.experiment.model, about.experiment.data
    pipeline = _PIPELINES.get(about.task)
    results = None
    if pipeline and not about.is_sealed:
        results = [
            EvalResult(pipeline, data.name, data.name, name, value, dataset_split="test")
            for name, value in _figures(about.summary.get("test")).items()
        ]
    base = f"timm/{model.backbone.removeprefix('timm/')}" if model.pretrained and "timm/" in model.backbone else None
    return ModelCardData(
        license=about.license,
        library_name="cv_attention",
        pipeline_tag=pipeline,
        tags=["attention", *(["interpretability"] if about.picture else [])],
        base_model=base,
        model_name=about.title if results else None,
        eval_results=results or None,
    ).to_yaml()


def _network(about: About) -> list[str]:
    model = about.experiment.model
    attention = f" with {_code(_short(model.block))} at {_code(model.at)}" if model.block else ""
    head = f" and the head {_code(_short(model.head))}" if model.head else ""
    size = [f"{about.summary[name]:,} {words}" for name, words in (("parameters", "parameters"), ("flops", "FLOPs"))
            if isinstance(about.summary.get(name), int)]  # fmt: skip
    costs = f" {', '.join(size)} for one image." if size else ""
    return [f"{_code(model.backbone)}{attention}{head}, trained for {about.task} with cv_attention.{costs}\n"]


def _use(about: About) -> list[str]:
    own = _foreign(about.experiment)
    trust = f", trust={own!r}" if own else ""
    lines = ["## Use\n", "```python", "import cv_attention as cva\n", f'model = cva.load("{about.title}"{trust})']
    if about.task == "classification":
        lines += [
            "logits = model(images)  # uint8 (B, 3, H, W), of the size model.facts.image_size",
            "with cva.record(model.network) as maps:",
            "    model(images)",
        ]
    lines += ["```\n"]
    if own:
        names = ", ".join(map(_code, own))
        lines += [f"The weights name code that is not part of cv_attention: {names}. Load them only if you trust it.\n"]
    return lines


def _results(about: About) -> list[str]:
    if about.is_sealed:
        return ["## Results\n", "The study of this network is not complete, so its test results are still sealed.\n"]
    seed = about.experiment.seed
    rows = []
    for name, value in _figures(about.summary.get("test")).items():
        over = about.seeds.get(name)
        several = over is not None and len(over.seeds) > 1
        spread = (
            f"{_number(over.mean)} ± {_number(over.deviation or 0)}" if over is not None and several else "one seed"
        )
        validation = _figures(about.summary.get("validation")).get(name)
        rows.append([name, _number(value), None if validation is None else _number(validation), spread])
    if not rows:
        return []
    over = max(about.seeds.values(), key=lambda each: len(each.seeds), default=None)
    header = ["metric", f"test, this network (seed {seed})", "validation"]
    if over is None or len(over.seeds) < 2:
        rows, listed = [row[:3] for row in rows], "No other seed of this configuration was trained.\n"
    else:
        header += [f"test, mean ± standard deviation, {len(over.seeds)} seeds"]
        listed = f"Seeds of the same configuration: {', '.join(map(str, over.seeds))}.\n"
    chosen = about.summary.get("selected") or {}
    selected = f"Selected: {_plain(str(chosen.get('epoch')))}, {_plain(str(chosen.get('reason')))}.\n" if chosen else ""
    return ["## Results\n", markdown_table(header, rows, left=1), "", listed, selected]


def _study(about: About) -> list[str]:
    study = about.study
    if study is None or not study.rows or study.sealed:
        return []
    rows = []
    for row in study.rows:
        low, high, difference = row.get("low"), row.get("high"), row.get("difference")
        interval = "" if low is None or high is None else f" [{low:+.4g}, {high:+.4g}]"
        minus = None if difference is None else f"{difference:+.4g}{interval}"
        verdict = row.get("reason") if row.get("verdict") == "none" else row.get("verdict")
        mean = None if row.get("mean") is None else _number(row["mean"])
        rows.append([_plain(str(row.get("label"))), str(len(row.get("units") or ())), mean, minus, verdict])
    header = ["network", "seeds", f"{study.split} {study.metric}", "minus the reference [95 %]", "verdict"]
    return [f"## Study {_plain(study.name)}\n", markdown_table(header, rows, left=1), ""]


def _maps(about: About) -> list[str]:
    if about.picture is None:
        return []
    words = "Images of the data set, and on top of them what the attention blocks and saliency methods show"
    return ["## Maps\n", f"![{words}]({about.picture})\n", f"{words}, recorded at the end of training.\n"]


def _data(about: About) -> list[str]:
    known, source = about.summary.get("data") or {}, about.experiment.data
    images = known.get("images") or {}
    counts = ", ".join(f"{count:,} {split}" for split, count in images.items() if isinstance(count, int))
    lines = ["## Data\n", f"{_code(source.name)}{f': {counts} images' if counts else ''}.\n"]
    if about.class_names:
        shown = ", ".join(map(_plain, about.class_names[:_CLASSES]))
        rest = len(about.class_names) - _CLASSES
        more = f" and {rest:,} more, see config.json" if rest > 0 else ""
        lines += [f"{len(about.class_names):,} classes: {shown}{more}.\n"]
    if known.get("fingerprint"):
        lines += [f"Fingerprint of the images: {_code(known['fingerprint'])}.\n"]
    return lines


def _training(about: About) -> list[str]:
    known, hardware = about.summary, about.summary.get("hardware") or {}
    facts = {
        "epochs": about.experiment.trainer.max_epochs,
        "optimizer": f"{about.experiment.optimizer.name}, learning rate {about.experiment.optimizer.lr:g}",
        "seed": about.experiment.seed,
        "training time": f"{known['training_seconds']:,.0f} s" if _is_number(known.get("training_seconds")) else None,
        "hardware": ", ".join(str(hardware[name]) for name in ("device", "precision") if name in hardware) or None,
        **{name: known.get("provenance", {}).get(name) for name in ("cv_attention", "torch", "config")},
    }
    rows = [[name, _plain(str(value))] for name, value in facts.items() if value is not None]
    return ["## Training\n", markdown_table(["", ""], rows, left=2), "", "`config.json` has the whole configuration.\n"]


def _licence(about: About) -> list[str]:
    words = "The author states no licence." if about.license is None else f"{_plain(about.license)}."
    model = about.experiment.model
    start = model.backbone if model.pretrained else model.weights
    if start:
        words += f" Training started from the weights {_code(start)}, whose licence applies as well."
    return ["## Licence\n", words]


def _figures(values: Any) -> dict[str, float]:
    return {name: value for name, value in (values or {}).items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: float) -> str:
    return f"{value:.4g}"


def _short(spec: Any) -> Any:
    return spec.get("name") or spec.get("class_path") or spec if isinstance(spec, dict) else spec


def _foreign(experiment: Experiment) -> list[str]:
    """Returns the class paths that a user must trust."""
    named = class_paths_in([experiment.model.block, experiment.model.head, experiment.log.metrics])
    named += [name for name in (experiment.data.name,) if not is_source(name)]
    if "." in experiment.model.backbone and "/" not in experiment.model.backbone:
        named += class_paths_in(experiment.model.backbone)
    return sorted({name for name in named if not name.startswith(("cv_attention.", "torchmetrics."))})


def _code(value: Any) -> str:
    return f"`{str(value).replace('`', '')}`"


def _plain(text: str) -> str:
    """Escapes what Markdown or HTML would interpret, and joins lines."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
