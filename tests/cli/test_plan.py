"""``cv-attention plan``: the table, the totals and the file."""

import json

import pytest

from cv_attention.cli.entry import main


def test_prints_the_table_and_the_totals(capsys):
    assert main(["plan", "resnet20", "--block", "se", "--classes", "10", "--device", "cpu", "--rounds", "3"]) == 0
    sites, totals = capsys.readouterr().out.split("\n\n")
    assert sites.startswith("se at residual, init plain, image 3×32×32")
    rows = {line[:17].strip(): line[17:].split() for line in totals.splitlines()[1:5]}
    assert rows["parameters"][0] == "269,722"
    assert list(rows) == ["parameters", "FLOPs", "activation memory", "latency"]
    assert "3 forwards in turns" in totals


def test_writes_json(tmp_path, capsys):
    block = '{"residual:0": se, "stage:-1": {name: vit, heads: 4}}'
    file = tmp_path / "plan.json"
    assert main(["plan", "resnet20", "--block", block, "--rounds", "0", "--device", "cpu", "--json", str(file)]) == 0
    assert "latency" not in capsys.readouterr().out
    content = json.loads(file.read_text(encoding="utf-8"))
    plan, totals = content["plan"], content["totals"]
    assert content["backbone"] == "resnet20"
    assert [site["label"] for site in plan["sites"]] == ["se", "se", "se", "vit"]
    for name in ("parameters", "flops"):
        assert totals["plain"][name] == plan[name]
        assert totals["attended"][name] == plan[name] + plan[f"added_{name}"]
    assert totals["plain"]["latency"] is None
    assert totals["attended"]["activation_bytes"] > totals["plain"]["activation_bytes"] > 0


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--at", "stage:7"], ["'stage:7'", "3 stages"]),
        (["--device", "gpu"], ["'gpu'", "expected one of auto, cpu, cuda"]),
        (["--rounds", "1"], ["rounds=1"]),
        (["--init", "zero"], ["zero", "identity"]),
        (["--rounds", "0", "--json", "no/such/folder/plan.json"], ["plan.json: folder not found: no/such/folder"]),
    ],
)
def test_mistakes(arguments, parts, capsys):
    assert main(["plan", "resnet20", "--block", "se", *arguments]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    for part in parts:
        assert part in message


@pytest.mark.parametrize(("size", "shown"), [("48", "3×48×48"), ("[40,56]", "3×40×56"), ("[3,40,56]", "3×40×56")])
def test_sizes_are_a_side_or_two_or_channels_too(size, shown, capsys):
    assert main(["plan", "resnet20", "--block", "se", "--size", size, "--rounds", "0", "--device", "cpu"]) == 0
    assert f"image {shown}" in capsys.readouterr().out
    assert main(["plan", "resnet20", "--block", "se", "--size", "[1,2,3,4]", "--device", "cpu"]) == 2
    assert "(1, 2, 3, 4)" in capsys.readouterr().err


def test_without_a_block_it_shows_what_there_is(tmp_path, capsys):
    file = tmp_path / "overview.json"
    assert main(["plan", "resnet20", "--options", '{"width": 8}', "--device", "cpu", "--json", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:4] == ["stage", "ends", "at", "channels"]
    assert [line.split()[:3] for line in lines[2:5]] == [
        ["0", "layer1.2", "8"],
        ["1", "layer2.2", "16"],
        ["2", "layer3.2", "32"],
    ]
    assert lines[-1] == "head: fc"
    assert json.loads(file.read_text(encoding="utf-8"))["overview"]["positions"]["residual"] == [9, [3, 3, 3], []]


def test_says_when_the_images_are_small(capsys):
    assert main(["plan", "timm/resnet10t", "--block", "se", "--size", "32", "--rounds", "0", "--device", "cpu"]) == 0
    note = capsys.readouterr().out.splitlines()[-1]
    assert note.startswith("note: timm/resnet10t is made for images of 176×176 pixels and has")
    assert main(["plan", "resnet20", "--block", "se", "--size", "32", "--rounds", "0", "--device", "cpu"]) == 0
    assert "note:" not in capsys.readouterr().out


def test_the_head_can_be_named(capsys):
    arguments = ["plan", "resnet20", "--block", "se", "--rounds", "0", "--device", "cpu", "--train", "blocks+head"]
    assert main([*arguments, "--head-modules", "layer3.2.*"]) == 0
    assert "head: layer3.2.conv1, layer3.2.bn1, layer3.2.conv2, layer3.2.bn2 (trained)" in capsys.readouterr().out
