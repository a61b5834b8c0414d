"""Conditions that readers type, against the same in Python; what two runs predict of the same image."""

import json

from tests.report.node import call_each

SAMPLES = [
    {"confidence": 0.95, "loss": 0.1, "right": True, "label": "bird", "unknown": None, "digit": "7", "zero": 0},
    {"confidence": 0.6, "loss": 1.5, "right": False, "label": "dog", "unknown": None, "digit": "8", "zero": 0},
    {"confidence": 0.3, "loss": 2.5, "right": True, "label": "bird", "unknown": 1, "digit": "8", "zero": 0},
    {"confidence": 0.92, "loss": 3.0, "right": False, "label": "cat and dog", "unknown": None, "digit": "8", "zero": 0},
]
RESOLVE = "(name) => (name in samples[0] ? (i) => samples[i][name] : undefined)"


def fulfilling(condition: str) -> str:
    """Returns a script for the samples that the page lists for a condition."""
    return f"""(() => {{
        const samples = {json.dumps(SAMPLES)};
        const test = parseCondition({json.dumps(condition)}, {RESOLVE});
        return samples.map((_, i) => i).filter(test);
    }})()"""


CONDITIONS = [
    ("confidence > 90%", "s['confidence'] > 0.9"),
    ("confidence > .9 and not right", "s['confidence'] > 0.9 and not s['right']"),
    ("right or loss >= 3", "s['right'] or s['loss'] >= 3"),
    ("not (right or loss >= 3)", "not (s['right'] or s['loss'] >= 3)"),
    ("right or right and loss > 2", "s['right'] or (s['right'] and s['loss'] > 2)"),
    ("loss - 2 * confidence < 0", "s['loss'] - 2 * s['confidence'] < 0"),
    ("-loss < -1 - 1", "-s['loss'] < -2"),
    ("loss / 2 / 5 > .2", "s['loss'] / 2 / 5 > 0.2"),
    ("(loss + 1) * 2 = 5", "(s['loss'] + 1) * 2 == 5"),
    ("label = 'bird'", "s['label'] == 'bird'"),
    ('label != "cat and dog"', "s['label'] != 'cat and dog'"),
    ("[label] == 'dog'", "s['label'] == 'dog'"),
    ("loss >= 15e-1", "s['loss'] >= 1.5"),
    ("unknown < 5", "s['unknown'] is not None and s['unknown'] < 5"),
    ("not unknown < 5", "False"),  # an unknown value fulfils neither
    ("loss", "False"),  # a number is not a condition
    ("confidence > .9 && !right", "s['confidence'] > 0.9 and not s['right']"),
    ("(confidence > .9) & ~right | loss === 0.1", "(s['confidence'] > 0.9 and not s['right']) or s['loss'] == 0.1"),
    ("right OR NOT (loss <> 1.5)", "s['right'] or s['loss'] == 1.5"),
    ("right == True and loss > 1", "s['right'] and s['loss'] > 1"),
    ("digit = 7", "s['digit'] == '7'"),  # a class whose name is a number
    ("digit != 7", "s['digit'] != '7'"),
    ("digit = ' '", "False"),
    ("zero = ''", "False"),  # an empty text is not zero
    ("zero = ' ' or zero != ' ' and right", "s['right']"),
]


def test_conditions_mean_what_they_mean_in_python() -> None:
    found = call_each([fulfilling(condition) for condition, _ in CONDITIONS], "samples/expressions.js")
    for listed, (condition, python) in zip(found, CONDITIONS, strict=True):
        assert listed == [i for i, s in enumerate(SAMPLES) if eval(python, {"s": s})], condition


FAULTS = [
    ("los > 1", 'there is no "los"'), ("loss >", "the condition ends too early"),
    ("(loss > 1", "a bracket is not closed"),
    ("loss > 1)", '")" has no meaning here'), ("loss ; alert(1)", '";" has no meaning here'),
    ("loss loss", '"loss" has no meaning here'), ("and", '"and" has no meaning here'), ("[no such: x]", 'no such: x'),
    ("constructor", 'there is no "constructor"'), ("", "the condition ends too early"),
]  # fmt: skip


def test_faults_of_a_condition_are_told() -> None:
    resolve = "(name) => (Object.hasOwn({ loss: 1 }, name) ? () => 1 : undefined)"
    scripts = [
        f"(() => {{ try {{ parseCondition({json.dumps(text)}, {resolve}); }} catch (e) {{ return e.message; }} }})()"
        for text, _ in FAULTS
    ]
    for message, (condition, fault) in zip(call_each(scripts, "samples/expressions.js"), FAULTS, strict=True):
        assert fault in message, condition


NEAREST = [
    ("correct", "right"), ("ground_truth.label", "label"), ("Prediction", "predicted"), ("wrong", "not right"),
    ("confidense", "confidence"),  ("LOSS", "loss"), ("rigt", "right"), ("sparseness", "[Grad-CAM: sparseness]"),
    ("konfidense", "confidence"), ("elephant", ""), ("a", ""),
]  # fmt: skip


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    names = ["confidence", "loss", "right", "label", "predicted", "[Grad-CAM: sparseness]"]
    scripts = [f"nearestName({json.dumps(name)}, {json.dumps(names)})" for name, _ in NEAREST]
    found = call_each(scripts, "samples/conditions.js", before=TWO_RUNS)
    assert found == [meant for _, meant in NEAREST]


TWO_RUNS = """
globalThis.location = { hash: "" };
const make = (name, labels, predictions) => ({
  name, folder: name, columns: [], classes: ["a", "b"], series: {},
  probes: labels.map((label, i) => ({ name: `image ${i}`, label })),
  epochs: [{
    epoch: 0, maps: [], predictions, losses: predictions.map((_, i) => i), true: [],
    confidence: predictions.map(() => 0.5),
  }],
});
globalThis.cvAttentionReport = { runs: [
  make("A", [0, 0, 0, 0, 0], [0, 0, 1, 1, 0]),
  make("B", [0, 0, 0, 0, 1], [0, 1, 0, 1, 1]),  // the last image has another class: it is another image
] };
"""


CHOICES = [
    ({"agreement": "gained:1"}, [1]), ({"agreement": "lost:1"}, [2]), ({"agreement": "both:1"}, [0]),
    ({"agreement": "neither:1"}, [3]), ({"agreement": ""}, [0, 1, 2, 3, 4]),
    ({"where": "right and [B: right]"}, [0]), ({"where": "[B: loss] >= 2"}, [2, 3]), ({"where": "loss >= 3"}, [3, 4]),
    ({"where": "predicted = 'b'"}, [2, 3]), ({"where": "no sense at all"}, [0, 1, 2, 3, 4]),
    ({"search": "b"}, [2, 3]),
]  # fmt: skip


def test_samples_on_which_two_runs_agree_or_not() -> None:
    plain = {"epoch": 0, "agreement": "", "where": "", "search": ""}
    shown = [
        f"(Object.assign(state, {json.dumps({**plain, **choice})}), listSamples(report.runs[0]))"
        for choice, _ in CHOICES
    ]
    files = ("samples/selection.js", "core/state.js", "core/report.js")
    for found, (choice, listed) in zip(call_each(shown, *files, before=TWO_RUNS), CHOICES, strict=True):
        assert found == listed, choice
