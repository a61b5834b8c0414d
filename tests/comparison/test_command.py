"""What ``cv-attention compare`` prints and writes, and how it answers mistakes."""

import csv
import json
import re

import pytest

from cv_attention.cli.entry import main
from tests.comparison.written import write, write_all


@pytest.fixture
def runs(tmp_path):
    return [str(run) for run in write_all(tmp_path, training_seconds=61.2, images_per_second=50.4)]


def printed(capsys, *arguments):
    assert main(["compare", *arguments]) == 0
    return capsys.readouterr().out


def test_the_table_says_the_verdict_in_words(runs, tmp_path, capsys):
    lines = printed(capsys, *runs).splitlines()
    cells = [re.split(r"\s{2,}", line) for line in lines[:4]]
    assert cells[0] == [
        "network", "runs", "test accuracy (%)", "minus plain [95 %]", "verdict",
        "parameters", "MFLOPs", "training (s)", "images/s",
    ]  # fmt: skip
    assert cells[1] == ["plain", "4", "70.88 ± 0.85", "the reference", "1000", "2.0", "61", "50"]
    assert cells[3][:2] == ["se", "4"]
    assert re.fullmatch(r"\+1\.75 \[-\d\.\d\d, \+\d\.\d\d\]", cells[3][3])
    assert re.fullmatch(r"unresolved: about \d+ more seeds", cells[3][4])
    assert "unresolved means that these runs cannot decide, not that there is no difference" in lines
    assert any(line.startswith("intervals hold for all rows at once (Dunnett") for line in lines)


def test_better_worse_and_equivalent_are_said_with_their_bounds(tmp_path, capsys):
    figures = {
        "null": [0.700, 0.710, 0.705], "se": [0.7502, 0.7601, 0.7551], "cbam": [0.6501, 0.66, 0.6548],
        "eca": [0.7002, 0.7099, 0.7051], "simam": [0.7015, 0.7115, 0.7065],
    }  # fmt: skip
    out = printed(capsys, *map(str, write_all(tmp_path, figures)))
    assert re.search(r"se .*better by at least 4\.9\d points ", out)
    assert re.search(r"cbam .*worse by at least 4\.9\d points ", out)
    assert re.search(r"eca .*equivalent within ±0\.30 points ", out)
    assert re.search(r"simam .*better by at least 0\.\d\d points, yet within ±0\.30 points ", out)
    assert "unresolved" not in out
    wide, narrow = (printed(capsys, *map(str, tmp_path.iterdir()), f"--margin={points}") for points in (6, 0.01))
    assert re.search(r"se .*better by at least 4\.9\d points, yet within ±6\.00 points ", wide)
    assert "within" not in narrow
    loss = printed(capsys, *map(str, tmp_path.iterdir()), "--metric", "loss")
    assert re.search(r"se .*better by at least 0\.049\d ", loss)
    assert "equivalent" not in loss
    assert "equivalent within ±0.0100" in printed(
        capsys, *map(str, tmp_path.iterdir()), "--metric=loss", "--margin=0.01"
    )


def test_failed_runs_are_counted_in_the_table(runs, tmp_path, capsys):
    write(tmp_path, "stopped", seed=7, block="se")
    assert "4 + 1 without a result" in printed(capsys, *runs, str(tmp_path / "stopped"))


def test_markdown_json_and_csv(runs, tmp_path, capsys):
    written, rows = tmp_path / "out.json", tmp_path / "out.csv"
    out = printed(capsys, *runs, "--markdown", "--json", str(written), "--csv", str(rows), "--reference", "se")
    assert out.startswith("| network | runs |")
    [table] = json.loads(written.read_text())["tables"]
    lines = list(csv.DictReader(rows.read_text().splitlines()))
    assert [row["label"] for row in table["rows"]] == [line["label"] for line in lines] == ["se", "cbam", "plain"]
    assert float(lines[1]["low"]) == table["rows"][1]["low"]
    assert lines[0]["units"] == "seed 0;seed 1;seed 2;seed 3"
    assert lines[0]["reference"] == "se"


def test_one_network_and_one_seed(runs, capsys):
    assert "only one network: nothing to compare it with" in printed(capsys, *runs[:4])
    assert "only one seed: no spread to judge by" in printed(capsys, runs[0], runs[4])


def test_other_files_among_the_runs_are_left_out_and_said_so(runs, tmp_path, capsys):
    (tmp_path / "comparison").mkdir()
    (tmp_path / "folds.json").write_text("{}")
    out = printed(capsys, *map(str, tmp_path.iterdir())).splitlines()
    assert out[:2] == [
        f"{tmp_path / name} is left out: it is not a run directory" for name in ("comparison", "folds.json")
    ]
    assert main(["compare", str(tmp_path / "comparison")]) == 2
    assert "comparison is not a run directory" in capsys.readouterr().err


def test_recipes_and_their_interaction(runs, tmp_path, capsys):
    other = write_all(tmp_path, prefix="m", fields={"data.mixup": 0.2})
    out = printed(capsys, *runs, *map(str, other))
    assert out.startswith(
        "2 tables, because the runs differ not only in the network but also in data.mixup\n\ndata.mixup 0\n\n"
    )
    assert "no sign that the differences depend on the recipe (interaction, p = 1)" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{root}/nul-0"], "nul-0 is not a run directory; did you mean 'null-0'"),
        (["{root}/null-0", "--metric", "acuracy"], "no test metric 'acuracy'; did you mean 'accuracy'"),
        (["{root}/null-0", "--reference", "{root}/se-0"], "se-0 is not among the compared runs"),
        (
            ["{root}/null-0", "{root}/se-0", "--reference", "see"],
            "'see' is neither a row nor a compared run.*did you mean 'se'",
        ),
        (["{root}/se-0", "{root}/cbam-0"], "every network has a block.*--reference with one of 'cbam', 'se'"),
        (["{root}/waiting"], "nothing to compare: none of 1 run has a test accuracy yet"),
        (["{root}/null-0", "--split", "val"], "nothing to compare: none of 1 run has a val accuracy"),
        (["{root}/null-0", "--split", "train"], "split.*test.*val"),
        (["{root}/null-0", "--alpha", "0.7"], "--alpha must lie between 0 and 0.5, got 0.7"),
        (["{root}/null-0", "--margin", "0"], "--margin must be above 0, got 0"),
        (["{root}/torn"], r"summary\.json cannot be read"),
        (["{root}/seedless"], r"seedless/config\.yaml: seed must be a whole number, got 'x'"),
        (["{root}/listed"], r"listed/config\.yaml is not a mapping"),
    ],
)
def test_mistakes_are_answered_in_one_line(arguments, message, runs, tmp_path, capsys):
    write(tmp_path, "waiting")
    (write(tmp_path, "torn") / "summary.json").write_text('{"test": {')
    write(tmp_path, "seedless", seed="x", test={"accuracy": 0.5})
    (write(tmp_path, "listed") / "config.yaml").write_text("- 1\n")
    assert main(["compare", *(one.format(root=tmp_path) for one in arguments)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error)
