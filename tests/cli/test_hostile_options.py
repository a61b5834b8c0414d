"""Options and configurations of the counted attack that once did harm: one line, at once, and nothing starts."""

import contextlib

import pytest

from benchmarks.faults import configurations
from cv_attention.cli import main
from cv_attention.cli.errors import UserError
from cv_attention.yaml_text import check_yaml_file, check_yaml_text
from tests.quick import quick_first

# Attempts of the benchmark that build nothing, and what their line must say.
SAID = {
    "file: section is a list": ["data must be a section of options", "got a list"],
    "file: section is a text": ["data must be a section of options", "got a single value"],
    "file: 5000 digits": ["cannot be read", "4300 digits"],
    "file: null for a number": ["data.batch_size must not be null"],
    "file: long text": ["more than 262,144 bytes"],
    "file: many keys": ["262,144 bytes"],
    "file: deep options": ["200 brackets"],
    "file: deep mappings": ["more than 50 nested levels"],
    "file: deep lists": ["not valid YAML", "200 brackets"],
    "file: merge key bomb": ["more than 100,000 values"],
    "option: endless file": ["/dev/zero is not a regular file"],
    "option: pipe": ["pipe.yaml is not a regular file"],
    "option: a folder": ["is a folder"],
    "option: a section from a device": ["/dev/zero is not a regular file"],
    "option: a part from a pipe": ["pipe.yaml is not a regular file"],
    "option: key twice in a value": ["width is given twice"],
    "option: braces": ["200 brackets"],
    "option: workers of 30 digits": ["data.workers must be in [0, 1024]"],
    "option: epochs of 400 digits": ["trainer.max_epochs must be in [1, 1000000]"],
    "option: bits": ["data.bits must be in [8, 16] or null, got 7"],
    "option: line break in a value": ["seed"],
    "option: ANSI in an option": ["unrecognized arguments"],
}


@pytest.fixture(scope="module")
def attempts(tmp_path_factory):
    import cv_attention.training  # noqa: F401  # takes seconds, which no attempt shall pay for

    folder = tmp_path_factory.mktemp("hostile")
    return folder, {name: options for name, options, _ in configurations.attempts(folder)}


@pytest.mark.parametrize(("name", "words"), quick_first(SAID.items(), 12), ids=SAID)
def test_a_hostile_option_is_one_line(name, words, attempts, capsys):
    folder, listed = attempts
    before = sorted(folder.iterdir())
    with contextlib.chdir(folder):
        assert main(["fit", *configurations.TINY, *listed[name]]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert len(message) < 2000
    assert "\x1b" not in message
    assert all(word in message for word in words), message
    assert sorted(folder.iterdir()) == before


SMALL = {
    "option: devices as a list": "trainer.devices must be a number or auto, got '[0, 1]'",
    "option: devices as a word": "trainer.devices must be a number or auto, got 'many'",
    "option: huge canvas": "data.digits: ",
    "option: huge width": "width must be at most 65536",
    "option: extra of everything": "trainer.extra: callbacks must be a list of objects, got 3",
    "option: split file is deep": "deep.json holds no folds",
}


@pytest.mark.parametrize(("name", "words"), SMALL.items(), ids=SMALL)
def test_what_is_noticed_while_building_is_one_line(name, words, attempts, capsys, monkeypatch):
    folder, listed = attempts
    monkeypatch.chdir(folder)
    outcome, message = configurations.attempt(listed[name], right=False)
    assert outcome == "refused", message
    assert words in message


def test_the_attack_can_fail():
    assert configurations.judged(0, "", 0.1, right=False) == "silent"
    assert configurations.judged(2, "", 0.1, right=True) == "wrongly refused"
    assert configurations.judged(2, "a\nb\n", 0.1, right=False) == "several lines"
    assert configurations.judged(2, "cv-attention: error: a\n", 11, right=False) == "slow"
    assert configurations.judged(1, "Traceback (most recent call last):\n", 0.1, right=False) == "traceback"
    assert configurations.judged(2, "cv-attention: error: a\n", 0.1, right=False) == "refused"


def test_globs_with_brackets_stay_texts(tmp_path):
    assert check_yaml_text("[ab]*.conv", "--model.at", strict=False) is None
    with pytest.raises(ValueError, match="not valid YAML"):
        check_yaml_text("[ab]*.conv", "a.yaml")
    (tmp_path / "large.yaml").write_text("# " + "x" * (1 << 18))
    with pytest.raises(ValueError, match="more than 262,144 bytes"):
        check_yaml_file(tmp_path / "large.yaml")


def test_messages_fit_a_terminal():
    message = str(UserError("a\x1b[2J\nb" + "x" * 5000 + "end"))
    assert message.startswith("a\\x1b[2J\\nb")
    assert message.endswith("end")
    assert len(message) < 1300
