"""Configurations from strangers: each mistake is one line that names the file and the line, at once."""

import time

import pytest
import yaml

from cv_attention.cli import main
from cv_attention.yaml_text import check_yaml_file, check_yaml_text

LEVELS = "".join(f"{'bcdefghij'[i]}: &{'bcdefghij'[i]} [{', '.join(['*' + 'abcdefghi'[i]] * 10)}]\n" for i in range(9))

HOSTILE = {
    "alias bomb": ("a: &a [x, x, x, x, x, x, x, x, x, x]\n" + LEVELS, ["100,000 values"]),
    "alias bomb of merges": (
        "m0: &m0 {k: v}\n" + "".join(f"m{i + 1}: &m{i + 1} {{p: *m{i}, q: *m{i}}}\n" for i in range(30)),
        ["100,000 values"],
    ),
    "key twice": ("model:\n  block: se\n  block: cbam\n", ["block is given twice", "2 and 3"]),
    "section twice": ("model: {block: se}\nseed: 1\nmodel: {block: cbam}\n", ["model is given twice", "1 and 3"]),
    "itself": ("model: &m\n  options: {again: *m}\n", ["line 1", "contains itself"]),
    "UTF-16": ("seed: 1\n".encode("utf-16"), ["UTF-16", "UTF-8"]),
    "Latin-1": ("seed: 1\n# caf\xe9\n".encode("latin-1"), ["0xe9", "line 2"]),
    "a nul": ("seed: \0\n", ["not valid YAML"]),
    "deep": ("[" * 5000, ["not valid YAML"]),
    "two documents": ("seed: 1\n---\nseed: 2\n", ["not valid YAML", "another document"]),
    "unknown key": ("{num_classes: 3}\n", ["num_classes", "data.subset.num_classes"]),
    "list as key": ("? [a, b]\n: 3\n", ["line 1", "key"]),
    "list": ("- seed\n", ["holds a list"]),
    "text": ("hello\n", ["holds a single value"]),
    "empty": ("", ["holds nothing"]),
    "empty section": ("seed: 1\ndata:\n", ["line 2", "data is empty"]),
    "tag": ("seed: !!python/object/apply:os.mkdir [made]\n", ["not valid YAML", "os.mkdir"]),
}


@pytest.mark.parametrize(("content", "words"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_configuration_is_one_line(content, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hostile.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    start = time.monotonic()
    assert main(["fit", "--config", "hostile.yaml"]) == 2
    assert time.monotonic() - start < 10
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert all(word in message for word in words), message
    assert [path.name for path in tmp_path.iterdir()] == ["hostile.yaml"]


def test_aliases_on_the_command_line_are_counted_too(capsys):
    nested = (
        "{a: &a [x, x], "
        + ", ".join(f"k{i}: &k{i} [*{p}, *{p}]" for i, p in enumerate(["a", *(f"k{i}" for i in range(24))]))
        + "}"
    )
    assert main(["fit", f"--model.options={nested}"]) == 2
    assert "--model.options, line 1: more than 100,000 values" in capsys.readouterr().err


def test_ordinary_files_pass(tmp_path):
    path = tmp_path / "usual.yaml"
    path.write_bytes("\ufeffbase: &base {lr: 1e-3}\noptimizer: {<<: *base, name: sgd}\nlog: {name: é}\n".encode())
    check_yaml_file(path)
    text = "a: [1, 2]\nb: {c: 1, d: 1}\n"
    assert yaml.serialize(check_yaml_text(text, "text")) == yaml.serialize(yaml.compose(text))


def test_short_options_are_not_suggested_with_three_dashes(capsys):
    assert main(["saliency", "a.png", "---out", "x"]) == 2
    assert "---" not in capsys.readouterr().err.split("did you mean")[-1]
