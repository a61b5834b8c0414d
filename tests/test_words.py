"""The wording check: what it finds, what it leaves alone, and that the repository passes."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "docs/words.py"
spec = importlib.util.spec_from_file_location("words", SCRIPT)
words = importlib.util.module_from_spec(spec)
spec.loader.exec_module(words)

PHRASES = [  # words: allow
    ("a file is drawn anew", "anew"),  # words: allow
    ("the map beside its image", "beside"),  # words: allow
    ("X is no run directory", "is no run"),  # words: allow
    ("keys that are no positions", "are no positions"),  # words: allow
    ("at the end of a training.", "a training"),  # words: allow
    ("two trainings", "trainings"),  # words: allow
    ("it goes on from the checkpoint", "goes on from"),  # words: allow
    ("the reason is told in the manifest", "is told in"),  # words: allow
    ("there is no method {name}", "there is no method {"),  # words: allow
    ("classes, one a line", "one a line"),  # words: allow
    ("a block hangs on the module", "block hangs on"),  # words: allow
]
RIGHT = [
    "there is no such file, which is no longer needed and no more than a link",
    "a training run, the training set, and a training step",
    "this depends on where the file is; the loop goes on",
    "users were told about it, and the two cannot be told apart",
    "besides, there is no block in this network",
]


@pytest.mark.parametrize(("text", "phrase"), PHRASES)
@pytest.mark.parametrize("kind", ["docstring", "comment", "string", "script", "document"])
def test_a_phrase_is_found_with_its_line(text, phrase, kind):
    content, name = {
        "docstring": (f'"""Title.\n\n{text}\n"""\n', "a.py"),
        "comment": (f"x = 1\n\n# {text}\n", "a.py"),
        "string": (f'x = 1\n\nraise ValueError(f"{text}")\n', "a.py"),
        "script": (f"let x = 1;\n\n// {text}\n", "a.js"),
        "document": (f"# Title\n\n{text}\n", "a.md"),
    }[kind]
    found = list(words.findings(name, content))
    assert [(number, match) for number, match, _ in found] == [(3, phrase)]
    assert all(instead for _, _, instead in found)


@pytest.mark.parametrize("text", RIGHT)
def test_right_sentences_are_left_alone(text):
    assert not list(words.findings("a.md", text))


def test_names_in_code_and_quotations_are_left_alone():
    assert not list(words.findings("a.py", "beside = 1\n'beside'\n# anew  # words: allow\n"))  # words: allow
    assert not list(words.findings("a.md", "quoted: anew <!-- words: allow -->"))


def test_the_exit_code_and_the_printed_place(tmp_path, capsys):
    (tmp_path / "docs").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "docs/guide.md").write_text("One.\n\nDrawn anew.\n")  # words: allow
    (tmp_path / "results/old.md").write_text("Drawn anew.\n")  # words: allow
    assert words.main(tmp_path) == 1
    assert capsys.readouterr().out == "docs/guide.md:3: 'anew': write 'again; from scratch'\n"  # words: allow
    (tmp_path / "docs/guide.md").write_text("One.\n")
    assert words.main(tmp_path) == 0


@pytest.mark.long
def test_the_repository_passes(capsys):
    assert words.main() == 0, capsys.readouterr().out
