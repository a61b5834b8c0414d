"""Which fields tell networks, recipes and data apart."""

import pytest

from cv_attention.comparison import compare
from cv_attention.comparison.fields import KINDS, Kind, kind, names
from tests.comparison.written import write, write_all

TWO = {"null": [0.7, 0.71], "se": [0.72, 0.74]}


def listed(wanted):
    return [name for name in names() if kind(name) is wanted]


def test_every_field_of_the_configuration_is_classified():
    groups = tuple(name for name in KINDS if name.endswith("."))
    unclassified = [name for name in names() if name not in KINDS and not name.startswith(groups)]
    assert not unclassified, "say in cv_attention/comparison/fields.py what these decide"


UNUSED = (
    "data.digits.",
    "data.bags.",
    "data.strings.",
    "data.text.",
    "data.episodes.",
    "data.table.",
)  # by the folder of these runs


def test_only_how_the_same_is_computed_may_differ_within_a_row():
    """Stated twice on purpose: a field that is wrongly among these mixes the results of different recipes."""
    machine = {"accelerator", "devices", "num_nodes", "strategy", "precision", "compile", "deterministic"}
    others = {"data.workers", "data.cache", "model.channels_last"}
    assert set(listed(Kind.EXECUTION)) == {f"trainer.{name}" for name in machine} | others
    assert set(listed(Kind.RECORD)) == {name for name in names() if name.startswith("log.")}
    assert set(listed(Kind.BLOCK)) == {"seed", "data.fold"}
    networks = {name for name in names() if name.startswith("model.")} - others
    assert set(listed(Kind.NETWORK)) == networks | {"optimizer.lr_scale.blocks"}


def other(name):
    """A value that the field does not have by default."""
    return {"data.split_file": "folds.json", "model.block": "cbam"}.get(name, "other")


def shape(tmp_path, fields):
    """Rows in each table where half of the seeds have these fields."""
    runs = write_all(tmp_path / "one", {name: values[:1] for name, values in TWO.items()})
    for block in (None, "se"):
        test = {"accuracy": 0.7}
        runs.append(write(tmp_path / "two", str(block), seed=1, block=block, test=test, fields=fields))
    found = compare(runs, reference=runs[0])
    return [len(table.rows) for table in found.tables], [len(table.rows[0].runs) for table in found.tables]


@pytest.mark.parametrize("name", [*listed(Kind.EXECUTION), *listed(Kind.RECORD)])
def test_what_can_change_no_result_splits_no_row(tmp_path, name):
    assert shape(tmp_path, {name: other(name)}) == ([2], [2])


@pytest.mark.parametrize(
    "fields",
    [
        {"data.workers": 4}, {"data.cache": 256}, {"trainer.devices": 2}, {"trainer.accelerator": "gpu"},
        {"trainer.precision": "bf16-mixed"}, {"log.root": "/elsewhere", "log.maps_every": 0},
    ],
)  # fmt: skip
def test_another_machine_is_no_other_recipe(tmp_path, fields):
    assert shape(tmp_path, fields) == ([2], [2])


@pytest.mark.parametrize("fields", [{"data.batch_size": 64}, {"trainer.max_epochs": 3}, {"optimizer.ema": 0.9}])
def test_what_changes_results_is(tmp_path, fields):
    assert shape(tmp_path, fields) == ([2, 2], [1, 1])


@pytest.mark.parametrize("name", [name for name in listed(Kind.RECIPE) if not name.startswith(UNUSED)])
def test_another_recipe_is_another_table(tmp_path, name):
    value = {"other": 1} if name == "trainer.extra" else other(name)
    assert shape(tmp_path, {name: value}) == ([2, 2], [1, 1])


@pytest.mark.parametrize("name", [name for name in listed(Kind.DATA) if not name.startswith(UNUSED)])
def test_other_data_are_another_table(tmp_path, name):
    assert shape(tmp_path, {name: other(name)}) == ([2, 2], [1, 1])


@pytest.mark.parametrize(
    "name", ["model.backbone", "model.options", "model.pretrained", "model.weights", "model.train", "model.head"]
)
def test_another_network_is_another_row(tmp_path, name):
    assert shape(tmp_path, {name: other(name)}) == ([4], [1])


@pytest.mark.parametrize("name", ["model.at", "model.init", "optimizer.lr_scale.blocks"])
def test_how_blocks_go_in_does_not_matter_without_one(tmp_path, name):
    assert shape(tmp_path, {name: other(name)}) == ([3], [2])  # plain; se twice


@pytest.mark.parametrize(
    "fields",
    [
        {"data.fold": 3},  # without a file of folds
        {"data.digits.clutter": 5},  # of a folder
        {"data.strings.clutter": 5},
        {"data.text.lower": True},
        {"data.table.label": "species"},
        {"data.episodes.ways": 4},
        {"data.bags.most": 5},
        {"model.at": ["residual"]},
        {"optimizer.lr": 0.1, "trainer.max_epochs": 10.0},
        {"trainer.extra": {"enable_progress_bar": False}},
        {"log.every_n_steps": 7, "log.name": "x"},
        {"data.root": "data/a/"},
    ],
)
def test_other_ways_to_say_the_same_split_no_row(tmp_path, fields):
    assert shape(tmp_path, fields) == ([2], [2])


def test_a_block_by_name_is_the_block(tmp_path):
    runs = write_all(tmp_path, TWO)
    runs.append(write(tmp_path, "third", seed=2, block={"name": "se"}, test={"accuracy": 0.75}))
    assert [len(row.runs) for row in compare(runs).tables[0].rows] == [2, 3]


@pytest.mark.parametrize(
    ("block", "label"),
    [
        ({"name": "cbam", "reduction": 8}, "cbam (reduction 8)"),
        ({"class_path": "mine.Mine", "init_args": {"k": 3}}, "Mine (k 3)"),
        ({"residual:0": "se", "stage:-1": {"name": "vit"}}, "se at residual:0 + vit at stage:-1"),
    ],
)
def test_blocks_have_readable_names(tmp_path, block, label):
    runs = [*write_all(tmp_path, TWO), write(tmp_path, "other", block=block, test={"accuracy": 0.7})]
    assert label in [row.label for row in compare(runs).tables[0].rows]


def test_drawn_digits_have_no_place(tmp_path):
    digits = {"data.name": "cluttered_digits"}
    runs = write_all(tmp_path, {"null": [0.7]}, fields=digits)
    runs += write_all(tmp_path, {"se": [0.7]}, fields=digits | {"data.root": "data", "data.val_fraction": 0.5})
    assert len(compare(runs).tables) == 1
    runs += write_all(tmp_path, {"eca": [0.7]}, fields=digits | {"data.digits.clutter": 4})
    assert len(compare(runs).tables) == 2


@pytest.mark.parametrize(
    ("data", "unused", "used"),
    [
        ("digit_strings", {"data.text.lower": True, "data.digits.seed": 3}, {"data.strings.clutter": 4}),
        ("text", {"data.strings.seed": 3, "data.digits.seed": 3}, {"data.text.lower": True}),
        ("text", {}, {"data.text.height": 64}),
        ("episodes", {"data.bags.seed": 3, "data.text.lower": True}, {"data.episodes.ways": 4}),
    ],
)
def test_settings_of_texts_count_where_they_are_used(tmp_path, data, unused, used):
    runs = write_all(tmp_path, {"null": [0.7]}, fields={"data.name": data})
    runs += write_all(tmp_path, {"se": [0.7]}, fields={"data.name": data} | unused)
    assert len(compare(runs).tables) == 1
    runs += write_all(tmp_path, {"eca": [0.7]}, fields={"data.name": data} | used)
    assert len(compare(runs).tables) == 2


def facts(fingerprint, **more):
    return {"data": {"fingerprint": fingerprint, **more}}


def test_the_same_images_at_another_place_are_the_same_data(tmp_path):
    runs = write_all(tmp_path, {"null": [0.7, 0.71]}, **facts("aa"))
    runs += write_all(tmp_path, {"se": [0.7, 0.71]}, fields={"data.root": "/elsewhere"}, **facts("aa"))
    assert len(compare(runs).tables) == 1
    runs += write_all(tmp_path, {"eca": [0.7, 0.71]}, **facts("bb"))  # the same place, other images
    assert len(compare(runs).tables) == 2


def test_an_older_run_had_the_images_of_its_place(tmp_path):
    runs = write_all(tmp_path, {"null": [0.7, 0.71]})
    runs += write_all(tmp_path, {"se": [0.7, 0.71]}, **facts("aa"))
    assert len(compare(runs).tables) == 1
    runs += write_all(tmp_path, {"eca": [0.7, 0.71]}, fields={"data.root": "/elsewhere"})
    assert len(compare(runs).tables) == 2  # nobody knows what was there


def test_folds_are_the_same_in_a_copy_of_their_file(tmp_path):
    folds = {"folds": {"digest": "cc", "count": 5}}
    runs = []
    for block, file in (("null", "folds.json"), ("se", "/copy/folds.json")):
        for fold in range(2):
            fields = {"data.split_file": file, "data.fold": fold}
            place, known = tmp_path / f"{block}{fold}", facts("aa", **folds)
            runs += write_all(place, {block: [0.7 + fold / 10]}, fields=fields, **known)
    [table] = compare(runs).tables
    assert table.folds
    assert [len(row.runs) for row in table.rows] == [2, 2]


@pytest.mark.parametrize(
    ("other", "tables"),
    [
        ({}, 1),
        ({"module": "Circles"}, 2),
        ({"batch_size": 40}, 2),
        ({"images": {"train": 9, "val": 15, "test": 17}}, 2),
    ],
)
def test_data_modules_of_ones_own_are_told_apart(tmp_path, other, tables):
    """Of which the configuration says nothing but its defaults."""
    data = {"module": "Squares", "batch_size": 20, "images": {"train": 40, "val": 15, "test": 17}}
    runs = []
    for seed, about in ((0, data), (1, data | other)):
        for block in (None, "se"):
            name, fields = f"{block}-{seed}", {"data.name": "cluttered_digits"}
            test = {"accuracy": 0.7 + 0.01 * seed}
            runs.append(write(tmp_path, name, seed=seed, block=block, test=test, fields=fields, data=about))
    assert len(compare(runs, reference=runs[0]).tables) == tables
