"""Run directories as `fit` leaves them, as far as a comparison reads them."""

import json

import yaml

FIGURES = {"null": [0.71, 0.72, 0.705, 0.70], "se": [0.73, 0.735, 0.71, 0.73], "cbam": [0.70, 0.74, 0.69, 0.72]}


def write(root, name, *, seed=0, block=None, test=None, fields=None, **summary):
    """Writes a run; `fields` are dotted names, `summary` goes into summary.json."""
    run = root / name
    run.mkdir(parents=True)
    config = {"seed": seed, "model": {"block": block}, "data": {"name": "folder", "root": "data/a"}}
    for dotted, value in (fields or {}).items():
        *groups, last = dotted.split(".")
        place = config
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    content = {"parameters": 1000, "flops": 2_000_000, "provenance": {"cv_attention": "1", "torch": "2"}} | summary
    content |= {"test": test} if test else {}
    (run / "summary.json").write_text(json.dumps(content))
    return run


def write_all(root, figures=FIGURES, prefix="", **settings):
    """Writes a run of each block and seed."""
    return [
        write(root, f"{prefix}{block}-{seed}", seed=seed, block=None if block == "null" else block,
              test={"accuracy": value, "loss": 1 - value}, **settings)
        for block, values in figures.items()
        for seed, value in enumerate(values)
    ]  # fmt: skip
