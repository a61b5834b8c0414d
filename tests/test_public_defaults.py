"""Defaults of the public functions and classes are promised: a change of one is a change of what others compute.

They are written down a second time in `public_defaults.json`. A change on purpose is written there too
(`python -m tests.public_defaults > tests/public_defaults.json`, which adds new names too) and named in the changelog.
"""

import json
from pathlib import Path

from tests.public_defaults import defaults
from tests.test_docstrings import SYMBOLS

WRITTEN = json.loads(Path(__file__).with_name("public_defaults.json").read_text(encoding="utf-8"))


def test_no_default_has_changed():
    """Of names and arguments that are written down; newer ones are not compared."""
    found = defaults(SYMBOLS)
    now = {name: {argument: found.get(name, {}).get(argument) for argument in own} for name, own in WRITTEN.items()}
    assert now == WRITTEN
