"""`cv-attention heads`: every head is listed with its options, and one is shown in full."""

import inspect

import pytest

from cv_attention.cli import main
from cv_attention.heads import HEADS, RecurrentDecoder


def printed(capsys, *arguments):
    assert main(["heads", *arguments]) == 0
    return capsys.readouterr().out


def test_lists_every_head(capsys):
    header, *lines = printed(capsys).splitlines()
    assert header.split() == ["name", "family", "year", "attention", "options", "title"]
    assert [line.split()[0] for line in lines] == list(HEADS)
    assert [line.split()[0] for line in lines if line.split()[3] == "no"] == ["ctc"]
    assert all(str(HEADS[line.split()[0]].year) in line.split() for line in lines)


@pytest.mark.parametrize("name", list(HEADS))
def test_shows_one_with_the_defaults_of_its_options(name, capsys):
    out = printed(capsys, name)
    assert HEADS[name].paper in out
    kinds = [RecurrentDecoder, HEADS[name].cls] if name in ("gru", "lstm") else [HEADS[name].cls]
    for kind in kinds:
        assert inspect.getdoc(kind) in out
        for each in inspect.signature(kind).parameters.values():
            if each.kind is each.KEYWORD_ONLY and each.name != "cell":
                assert f"  {each.name} = {each.default!r}\n" in out


def test_an_unknown_one_is_answered_in_one_line(capsys):
    assert main(["heads", "gruu"]) == 2
    assert capsys.readouterr().err == "cv-attention: error: unknown head 'gruu'; did you mean 'gru'?\n"
