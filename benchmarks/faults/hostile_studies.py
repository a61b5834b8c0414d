"""Lists hostile study files, hostile bases, and records of a study that somebody has changed and sealed again."""

from typing import Any

from benchmarks.faults.hostile_configurations import FILES

_PLAIN = "base: base.yaml\nnetworks: {plain: {}, se: {model.block: se}}\nseeds: 3\n"

# Name -> content of the study file. None of them is right.
STUDIES: dict[str, bytes | str] = {
    **{f"as a configuration: {name}": content for name, (content, _) in FILES.items()},
    "base is itself": _PLAIN.replace("base.yaml", "toy.yaml"),
    "base is a device": _PLAIN.replace("base.yaml", "/dev/zero"),
    "base is a folder": _PLAIN.replace("base.yaml", "studies"),
    "base is a list": _PLAIN.replace("base.yaml", "[a, b]"),
    "base is missing": _PLAIN.replace("base.yaml", "nowhere.yaml"),
    "base has a nul": 'base: "a\\0b"\nnetworks: {plain: {}, se: {model.block: se}}\n',
    "one network": "base: base.yaml\nnetworks: {plain: {}}\n",
    "networks are a list": "base: base.yaml\nnetworks: [plain, se]\n",
    "a network is a number": "base: base.yaml\nnetworks: {plain: 3, se: {model.block: se}}\n",
    "a network's name leads out": "base: base.yaml\nnetworks: {plain: {}, ../../se: {model.block: se}}\n",
    "a network's name is a number": "base: base.yaml\nnetworks: {1: {}, 2: {model.block: se}}\n",
    "a network twice": "base: base.yaml\nnetworks: {plain: {}, se: {}, se: {model.block: se}}\n",
    "a network's option is unknown": "base: base.yaml\nnetworks: {plain: {}, se: {model.blok: se}}\n",
    "a network's option is a section": "base: base.yaml\nnetworks: {plain: {}, se: {model: se}}\n",
    "a block that is unknown": "base: base.yaml\nnetworks: {plain: {}, se: {model.block: sse}}\n",
    "a block of numbers": "base: base.yaml\nnetworks: {plain: {}, se: {model.block: [1, 2]}}\n",
    "a block that contains itself": "base: base.yaml\nnetworks: {plain: {}, se: {model.block: &b [*b]}}\n",
    "networks alike": "base: base.yaml\nnetworks: {plain: {}, other: {}}\n",
    "many networks": "base: base.yaml\nnetworks:\n" + "".join(f"  n{i}: {{model.block: se}}\n" for i in range(5000)),
    "seeds are texts": _PLAIN.replace("seeds: 3", "seeds: [a, b]"),
    "seeds twice": _PLAIN.replace("seeds: 3", "seeds: [1, 1]"),
    "seeds negative": _PLAIN.replace("seeds: 3", "seeds: [-1, 1]"),
    "a million seeds": _PLAIN.replace("seeds: 3", "seeds: 1000000"),
    "seeds true": _PLAIN.replace("seeds: 3", "seeds: true"),
    "seeds of 5,000 digits": _PLAIN.replace("seeds: 3", "seeds: " + "9" * 5000),
    "margin is nothing": _PLAIN + "margin: .nan\n",
    "margin is infinite": _PLAIN + "margin: .inf\n",
    "margin negative": _PLAIN + "margin: -1\n",
    "alpha is 1": _PLAIN + "alpha: 1\n",
    "deviation is text": _PLAIN + "deviation: wide\n",
    "an unknown reference": _PLAIN + "reference: nobody\n",
    "an unknown control": _PLAIN + "controls: {also: [magic]}\n",
    "a control twice": _PLAIN + "controls: {also: [identity, identity]}\n",
    "controls are a list": _PLAIN + "controls: [identity]\n",
    "recipes are texts": _PLAIN + "recipes: {a: fast}\n",
    "a recipe's name is a script": _PLAIN + "recipes: {'<script>alert(1)</script>': {}}\n",
    "a recipe sets the seed": _PLAIN + "recipes: {a: {seed: 3}, b: {}}\n",
    "a recipe sets the folder": _PLAIN + "recipes: {a: {log.root: /tmp/elsewhere}, b: {}}\n",
    "tune on the test split": _PLAIN + "tune: {optimizer.lr: [0.1], on: test}\n",
    "tune nothing": _PLAIN + "tune: {optimizer.lr: []}\n",
    "tune a number": _PLAIN + "tune: {optimizer.lr: 3}\n",
    "tune a million": _PLAIN + "tune:\n" + "".join(f"  data.mixup{i}: [1, 2, 3, 4]\n" for i in range(12)),
    "tune an unknown option": _PLAIN + "tune: {optimizer.rate: [0.1]}\n",
    "set is a list": _PLAIN + "set: [a]\n",
    "set a section": _PLAIN + "set: {data: {name: folder}}\n",
    "set an empty name": _PLAIN + "set: {'': 3}\n",
    "set a number as name": _PLAIN + "set: {3: 3}\n",
    "set data that are code": _PLAIN + "set: {data.name: os.system}\n",
    "unknown field": _PLAIN + "sedes: 4\n",
}

# Name -> content of the base. None of them is right.
BASES: dict[str, bytes | str] = {name: content for name, (content, right) in FILES.items() if not right}

# Name -> values in a record that is whole but for them.
RECORDS: dict[str, dict[str, Any]] = {
    "stopped after a text": {"stopped": {"seeds": "x", "rule": "width=1"}},
    "stopped after a negative number": {"stopped": {"seeds": -2, "rule": "width=1"}},
    "stopped after a huge number": {"stopped": {"seeds": 10**30, "rule": "width=1"}},
    "stopped after null": {"stopped": {"seeds": None}},
    "stopped without a number": {"stopped": {"rule": []}},
    "changes of numbers": {"changes": [3]},
    "changes of nothing": {"changes": [{"opened": True}]},
    "changes of texts": {"changes": [{"opened": True, "at": 3, "what": "abc"}]},
    "changes of null": {"changes": [{"opened": True, "at": None, "what": None}]},
    "commands of numbers": {"commands": [3, None]},
    "commands with escapes": {"commands": ["\x1b[2J", "a\nb"]},
    "chosen of numbers": {"chosen": [3]},
    "chosen of others": {"chosen": [{"arm": "nobody", "values": 3}]},
    "opened in no year": {"opened": "x" * 10_000},
    "a plan of another study": {"plan": {"a": {"b": [1, 2, 3]}}},
    "a plan of texts": {"plan": {"margin": "x", "seeds": None}},
    "a deep plan": {"plan": {"a": [[[[[[[[[[[[]]]]]]]]]]]]}},
}
