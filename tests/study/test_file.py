"""Study files that are wrong in every way: one line, which names the file and the place."""

import pytest

from cv_attention.cli import main
from cv_attention.study import Limits, LocalEngine, dry_run, make_plan, train
from tests.study.written import planned, write_study

SE = {"model.block": "se"}
WRONG = {
    "no networks": ({"networks": {}}, "networks must name at least two, got 0"),
    "one network": ({"networks": {"plain": {}}}, "networks must name at least two"),
    "networks as a list": ({"networks": ["plain", "se"]}, "networks must be dict"),
    "unknown key": ({"networkz": {}}, "has no field 'networkz'; did you mean 'networks'"),
    "unknown option": (
        {"networks": {"plain": {}, "se": {"model.blok": "se"}}},
        "networks.se: unknown option 'model.blok'; did you mean 'model.block'",
    ),
    "a section": (
        {"networks": {"plain": {}, "se": {"model": {"block": "se"}}}},
        "networks.se: model is a section; write its options with dots",
    ),
    "unknown block": (
        {"networks": {"plain": {}, "se": {"model.block": "see"}}},
        "networks.se: no block is called 'see'",
    ),
    "wrong type": (
        {"networks": {"plain": {}, "se": {**SE, "optimizer.lr": "fast"}}},
        "networks.se: optimizer.lr must be float, got 'fast'",
    ),
    "out of bounds": (
        {"networks": {"plain": {}, "se": {**SE, "optimizer.lr": -1.0}}},
        "networks.se: optimizer.lr must be above 0, got -1.0",
    ),
    "block of a wrong type": (
        {"networks": {"plain": {}, "se": {"model.block": 3}}},
        "model.block must be a name, a mapping or null, got 3",
    ),
    "block of nothing": ({"networks": {"plain": {}, "se": {"model.block": {}}}}, "model.block is an empty mapping"),
    "arguments as text": (
        {"networks": {"plain": {}, "se": {"model.block": {"class_path": "a.B", "init_args": "x"}}}},
        "networks.se: model.block: init_args must be a mapping of options, got 'x'",
    ),
    "duplicates": ({"networks": {"plain": {}, "se": SE, "se2": SE}}, "networks.se2 is the same as se"),
    "same in other words": (
        {"networks": {"plain": {}, "se": SE, "se2": {"model.block": {"name": "se"}, "model.at": ["residual"]}}},
        "networks.se2 is the same as se",
    ),
    "equal to plain": ({"networks": {"plain": {}, "se": {"model.at": "stage"}}}, "2 networks have no block"),
    "equal to the reference": (
        {"networks": {"plain": {}, "se": {"model.at": "stage"}}, "reference": "plain"},
        "networks.se is the same as plain",
    ),
    "no plain network": (
        {"networks": {"se": SE, "eca": {"model.block": "eca"}}},
        "every network has a block; say with reference",
    ),
    "unknown reference": ({"reference": "plian"}, "reference 'plian' is not a network; did you mean 'plain'"),
    "other images": ({"networks": {"plain": {}, "se": {**SE, "data.digits.clutter": 3}}}, "would change the images"),
    "no such recipe": (
        {"recipes": {"weak": "weak.yaml"}},
        "recipes.weak: file not found: weak.yaml, neither here nor in",
    ),
    "own seed": (
        {"networks": {"plain": {}, "se": {**SE, "seed": 3}}},
        "seed cannot be changed: the study's seeds decide it",
    ),
    "own name": ({"set": {"log.name": "a"}}, "log.name cannot be changed"),
    "no seeds": ({"seeds": 0}, "seeds must be in [2, 1000], got 0"),
    "an empty list of seeds": ({"seeds": []}, "seeds must list 2 to 1,000 seeds, got 0"),
    "one seed": ({"seeds": [3]}, "seeds must list 2 to 1,000 seeds, got 1"),
    "seeds twice": ({"seeds": [3, 4, 3]}, "seeds: 3 is listed twice"),
    "a seed of tuning": ({"seeds": [3, 2_000_000_000]}, "seeds must be in [0, 1999999999], got 2000000000"),
    "seeds as text": ({"seeds": "eight"}, "seeds must be int or list, got 'eight'"),
    "margin nan": ({"margin": float("nan")}, "margin must be above 0 or null, got nan"),
    "margin inf": ({"margin": float("inf")}, "margin must be above 0 or null, got inf"),
    "margin zero": ({"margin": 0}, "margin must be above 0 or null, got 0"),
    "alpha": ({"alpha": 0.7}, "alpha must be in (0, 0.5), got 0.7"),
    "unknown control": (
        {"controls": {"also": ["identitty"]}},
        "controls.also: 'identitty' is unknown; did you mean 'identity'",
    ),
    "control twice": ({"controls": {"also": ["identity", "identity"]}}, "controls.also: identity is listed twice"),
    "unknown match": ({"controls": {"match": ["power"]}}, "controls.match: 'power' is unknown"),
    "tune without values": ({"tune": {"optimizer.lr": []}}, "tune.optimizer.lr must list the values to try"),
    "tune unknown": ({"tune": {"optimizer.rate": [1.0]}}, "tune: unknown option 'optimizer.rate'"),
    "tune on the test": ({"tune": {"optimizer.lr": [0.1], "on": "test"}}, "tune.on must be validation, got 'test'"),
    "tune a network's": (
        {"tune": {"optimizer.lr": [0.1]}, "networks": {"plain": {}, "se": {**SE, "optimizer.lr": 0.2}}},
        "tune chooses optimizer.lr, so neither",
    ),
    "tune the block": ({"tune": {"model.block": ["se", "eca"]}}, "tune chooses model.block, so neither"),
    "tune too much": (
        {"tune": {"optimizer.lr": [0.1] * 40, "optimizer.weight_decay": [0.1] * 40}},
        "tune: 1,600 combinations",
    ),
    "recipe and network": (
        {"recipes": {"a": {"optimizer.lr": 0.1}}, "networks": {"plain": {}, "se": {**SE, "optimizer.lr": 0.2}}},
        "recipes.a changes optimizer.lr, too",
    ),
    "equal recipes": ({"recipes": {"a": {}, "b": {}}}, "recipes.b is the same as recipes.a"),
    "a number as a name": ({"networks": {"plain": {}, 3: SE}}, "the name 3 is not text; put it in quotes"),
    "a path as a name": ({"networks": {"plain": {}, "../se": SE}}, "a name is up to 40 letters"),
    "no base": ({"base": ""}, "base is missing"),
    "a base that is not there": ({"base": "gone.yaml"}, "base: file not found: gone.yaml"),
    "an empty control": ({"controls": None}, "controls must be a mapping"),
}


@pytest.mark.parametrize(("changes", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named_in_one_line(changes, words, tmp_path, capsys):
    file = write_study(tmp_path, **changes)
    assert main(["study", str(file), "--root", str(tmp_path / "studies"), "--status"]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert "toy.yaml" in said
    assert not (tmp_path / "studies").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds nothing"),
        ("- a\n- b\n", "holds a list"),
        ("seeds: 3\nseeds: 4\n", "seeds is given twice, in lines 1 and 2"),
        (
            "a: &a [x, x]\nb: &b [*a, *a]\n"
            + "".join(f"c{i}: &c{i} [{'*b, ' if i == 0 else f'*c{i - 1}, ' * 9}]\n" for i in range(9)),
            "more than 100,000 values once aliases are expanded",
        ),
        ("networks: &n {plain: *n}\n", "contains itself|not valid YAML|found undefined alias"),
        ("networks: {plain: {}\n", "not valid YAML"),
        ("seeds: " + "9" * 5000 + "\n", "4300 digits|cannot be read"),
        ("\x00", "not valid YAML"),
    ],
)
def test_text_that_is_no_study(text, words, tmp_path, capsys):
    (tmp_path / "toy.yaml").write_text(text)
    assert main(["study", str(tmp_path / "toy.yaml"), "--status"]) == 2
    said = capsys.readouterr().err
    assert any(word in said for word in words.split("|")), said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--engine", "dask"], "--engine must be local:N"),
        (["--engine", "local:0"], "--engine must be local:N"),
        (["--budget", "8"], "--budget must be a time"),
        (["--budget", "0h"], "--budget must be a time"),
        (["--until", "width"], "--until must be width=W"),
        (["--until", "width=0"], "--until must be width=W"),
        (["--threads", "0"], "--threads must be in [1, 1024]"),
        (["--status", "--report"], "exclude each other"),
        (["--retries"], "unknown option --retries"),
    ],
)
def test_options_that_are_wrong(arguments, words, tmp_path, capsys):
    file = write_study(tmp_path)
    assert main(["study", str(file), "--root", str(tmp_path / "studies"), *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_file_that_is_not_there(tmp_path, capsys):
    assert main(["study", str(tmp_path / "gone.yaml"), "--status"]) == 2
    assert "gone.yaml" in capsys.readouterr().err


def test_values_mean_what_they_mean_in_a_configuration(tmp_path):
    file = write_study(tmp_path)
    file.write_text(
        "base: base.yaml\nnetworks:\n  plain:\n  se: {model.block: {name: se, reduction: 8}, model.options.width: 8}\n"
        "set: {optimizer.weight_decay: 1e-4}\nseeds: [5, 7]\n"
    )
    plan = make_plan(file)
    se = plan.experiments["se", ""]
    assert (se.optimizer.weight_decay, se.model.options, se.model.block) == (
        1e-4,
        {"width": 8},
        {"name": "se", "reduction": 8},
    )
    assert plan.experiments["plain", ""].model.options == {"width": 4}
    assert (plan.seeds, plan.reference) == ((5, 7), "plain")


def test_controls_wrap_each_block_and_one_scale_serves_all(tmp_path):
    networks = {"plain": {}, "se": SE, "both": {"model.block": {"residual:0": "se", "stage:-1": "vit"}}}
    plan = make_plan(write_study(tmp_path, networks=networks, controls={"also": ["identity", "channel_scale"]}))
    names = [arm.name for arm in plan.arms]
    assert names == [
        "plain",
        "se",
        "both",
        "se+identity",
        "se+channel_scale",
        "both+identity",
        "both+channel_scale",
    ]  # the scales differ in their places
    inner = plan.experiments["both+identity", ""].model.block["stage:-1"]
    assert inner == {"class_path": "cv_attention.blocks.controls.Identity", "init_args": {"block": "vit"}}
    networks = {"plain": {}, "se": SE, "eca": {"model.block": "eca"}}
    plan = make_plan(write_study(tmp_path, networks=networks, controls={"also": ["channel_scale"]}))
    assert [arm.name for arm in plan.arms] == ["plain", "se", "eca", "se+channel_scale"]


CONTROLLED = {"plain": {}, "se": {"model.block": "se"}, "vit": {"model.block": {"stage:-1": "vit"}}}


def test_a_control_that_has_nothing_to_change_is_refused_before_anything_is_trained(tmp_path):
    plan, folder = planned(tmp_path, networks=CONTROLLED, controls={"also": ["shuffled_gate", "constant_gate"]})
    expected = r"toy.yaml: controls: constant_gate of vit: ConstantGate .* leave it out with controls.without: {vit: \["
    with pytest.raises(ValueError, match=expected):
        train(plan, folder, LocalEngine(1), Limits(), print, [])
    with pytest.raises(ValueError, match=expected):
        next(dry_run(plan, folder, 1, 1))
    assert not folder.root.exists()


def test_a_control_can_be_left_out_for_one_network(tmp_path):
    controls = {"also": ["constant_gate", "identity"], "without": {"vit": ["constant_gate"]}}
    plan, _ = planned(tmp_path, networks=CONTROLLED, controls=controls)
    plan.check()
    names = [arm.name for arm in plan.arms]
    assert names == ["plain", "se", "vit", "se+constant_gate", "se+identity", "vit+identity"]


@pytest.mark.parametrize(
    ("without", "message"),
    [({"vut": ["identity"]}, "controls.without: 'vut' is not a network; did you mean 'vit'"),
     ({"vit": ["idntity"]}, "controls.without.vit: 'idntity' is unknown; did you mean 'identity'")],
)  # fmt: skip
def test_what_is_left_out_must_be_there(without, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        planned(tmp_path, networks=CONTROLLED, controls={"also": ["identity"], "without": without})


def test_a_recipe_can_be_a_file(tmp_path):
    (tmp_path / "strong.yaml").write_text("optimizer: {lr: 0.3, options: {momentum: 0.8}}\ndata: {mixup: 0.2}\n")
    plan, _ = planned(tmp_path, recipes={"weak": {}, "strong": "strong.yaml"})
    weak, strong = (plan.experiments["plain", recipe] for recipe in ("weak", "strong"))
    assert (strong.optimizer.lr, strong.optimizer.options, strong.data.mixup) == (0.3, {"momentum": 0.8}, 0.2)
    assert (weak.optimizer.lr, weak.optimizer.options, weak.data.mixup) == (0.1, {}, 0.0)
    assert plan.described()["recipes"]["strong"]["data.mixup"] == 0.2  # what counts is its content
    written, _ = planned(tmp_path, recipes={"weak": {}, "strong": plan.described()["recipes"]["strong"]})
    assert [t.name for t in written.trials(tmp_path, {})] == [t.name for t in plan.trials(tmp_path, {})]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimizer: {rl: 1}", "recipes.strong: unknown option 'optimizer.rl'; did you mean 'optimizer.lr'"),
        ("seed: 3", "recipes.strong: seed cannot be changed"),
        ("[1, 2]", "strong.yaml holds a list; expected options"),
    ],
)
def test_a_recipe_file_that_is_wrong_is_one_line(text, message, tmp_path):
    (tmp_path / "strong.yaml").write_text(text)
    with pytest.raises(ValueError, match=message) as raised:
        planned(tmp_path, recipes={"weak": {}, "strong": "strong.yaml"})
    assert "\n" not in str(raised.value)
