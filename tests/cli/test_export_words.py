"""What an export says at its end, however it ended: of readings, of named images and of explained ones."""

import signal
from types import SimpleNamespace

import pytest

from cv_attention.cli.commands.looking import read, recall, saliency
from cv_attention.cli.errors import UserError
from cv_attention.training import Terminated

# module, what was done, name of its count, where it lies
EXPORTS = [(read, "read", "read", "readings"), (recall, "named", "recognised", "classes"),
           (saliency, "explained", "explained", "manifest")]  # fmt: skip
EACH = pytest.mark.parametrize(("module", "word", "count", "place"), EXPORTS, ids=["read", "recall", "saliency"])


def end(module, count, place, done=5, **changes):
    about = {
        "failed": 0,
        "left": 0,
        "new": done,
        "seconds": 2.0,
        "error": "",
        "signal": 0,
        "first_failure": "x: broken",
    }
    about |= {"cer": None, "exact": None, "not_finite": 0, count: done, place: "out/rows"}
    module._report(SimpleNamespace(**{**about, **changes}))


@EACH
def test_all_is_well(module, word, count, place, capsys):
    end(module, count, place, new=3)
    assert capsys.readouterr() == (f"5 images {word}, 0 left out: out/rows (3 now, 2 images/s)\n", "")


@EACH
@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_is_told_with_what_is_done_of_all(number, raised, module, word, count, place, capsys):
    with pytest.raises(raised):
        end(module, count, place, failed=2, left=4, signal=number)
    said = f"stopped: 5 of 11 images {word}; run the same command again to resume\n"
    assert capsys.readouterr() == ("", said)


@EACH
def test_an_error_says_how_many_are_left(module, word, count, place):
    with pytest.raises(UserError, match="stopped with 4 images left: the disk is full; finished shards are complete"):
        end(module, count, place, left=4, error="the disk is full", signal=signal.SIGTERM)


@EACH
def test_images_that_were_left_out(module, word, count, place, capsys):
    end(module, count, place, failed=1)
    assert capsys.readouterr().err == "left out: x: broken\n"
    with pytest.raises(UserError, match="no image could be used: x: broken") as raised:
        end(module, count, place, done=0, failed=1)
    assert raised.value.code == 1


def test_error_rates_and_values_that_are_not_finite(capsys):
    end(read, "read", "readings", cer=0.12345, exact=0.5)
    assert "cer: 12.35 %, exact: 50.0 % of the images with a known text" in capsys.readouterr().out
    end(saliency, "explained", "manifest", failed=2, not_finite=4)
    said = capsys.readouterr().err
    assert "not finite: 4 of 5 images have maps or logits with values that are not finite" in said
    assert "left out: x: broken; the manifest lists all failures" in said
    with pytest.raises(UserError, match="5 of 5 images have maps or logits"):
        end(saliency, "explained", "manifest", not_finite=5)
