"""Verdicts on pairs of methods, the recommendation, and tuning on held-out images."""

import json

import numpy as np
import pytest

from cv_attention import judging, saliency
from cv_attention.cli import main
from cv_attention.judging.recommendation import compare, recommendation
from cv_attention.statistics import bootstrap


def test_a_verdict_is_the_paired_bootstrap_of_the_two_best():
    draws = np.random.default_rng(0)
    image = draws.normal(size=60)  # how easy an image is, the same for all methods
    values = {"worst": image - 1, "best": image + 0.2, "second": image + draws.normal(scale=0.05, size=60)}
    found = compare("road", values, "high", seed=3)
    assert (found.best, found.second, found.images) == ("best", "second", 60)
    assert found.gain == bootstrap(values["best"] - values["second"], seed=3)
    assert found.resolved
    unpaired = bootstrap(values["best"]).high - bootstrap(values["best"]).low
    assert found.gain.high - found.gain.low < unpaired / 4, "differences of the same images"
    low = compare("deletion_auc", {name: -one for name, one in values.items()}, "low", seed=3)
    assert (low.best, low.second, low.gain) == (found.best, found.second, found.gain)


def test_a_difference_within_noise_is_unresolved():
    draws = np.random.default_rng(1)
    found = compare("road", {"a": draws.normal(size=40), "b": draws.normal(size=40)}, "high")
    assert not found.resolved
    assert "unresolved between" in str(found)
    assert compare("road", {"a": [1.0, 2.0], "b": [1.0]}, "high") is None, "values of other images"


def test_the_recommendation_follows_the_first_criterion_and_tells_of_the_others():
    better, equal = {"a": [0.5, 0.6], "b": [0.1, 0.2]}, {"a": [0.5, 0.1], "b": [0.1, 0.5]}
    verdicts = [compare("sparseness", better, "high"), compare("arcc", better, "low"), compare("road", better, "high")]
    said = recommendation(verdicts)
    assert said.startswith("Recommendation by road: a is better than b by at least 0.400")
    assert said.endswith("Others say otherwise: b by arcc.")
    assert "unresolved between" in recommendation([compare("road", equal, "high")])
    assert recommendation([]) == ""


def test_evaluations_end_in_a_recommendation(tiny_checkpoint, tmp_path):
    judged = judging.evaluate_saliency(
        tiny_checkpoint,
        methods=["grad_cam", "gradient"],
        measures=["deletion_auc", "sparseness", "agreement"],
        images=8,
    )
    assert [verdict.measure for verdict in judged.verdicts] == ["deletion_auc", "sparseness"]
    means = {name: row["deletion_auc"].mean for name, row in judged.table.items()}
    first, second = sorted(means, key=means.get)[:2]
    assert (judged.verdicts[0].best, judged.verdicts[0].second) == (first, second)
    assert judged.verdicts[0].gain.mean == pytest.approx(means[second] - means[first], abs=1e-5)
    assert "Recommendation by deletion_auc" in judging.printed(judged)
    judging.write(judged, tmp_path)
    content = json.loads((tmp_path / "saliency.json").read_text())
    assert content["verdicts"][0]["best"] == first
    assert content["recommendation"].startswith("Recommendation by deletion_auc")


def test_half_of_the_images_chooses_and_the_other_half_judges(tiny_checkpoint):
    seen = []

    def edges(model, images, targets, power=1):
        seen.append((power, len(images), float(images.sum())))
        return saliency.gradient(model, images, targets) ** power

    tuned = judging.tune_saliency(tiny_checkpoint, edges, {"power": [0, 2, 4]}, measure="sparseness", images=10)
    assert tuned.options == {"power": 4}
    assert list(tuned.tried) == ["defaults", "power=0", "power=2", "power=4"]
    assert set(tuned.judged) == {"power=4", "defaults"}
    assert tuned.verdict.resolved
    assert (tuned.verdict.best, tuned.verdict.images) == ("power=4", 5)
    assert len({total for power, _, total in seen if power == 4}) == 2, "each half is other images"
    assert {total for power, _, total in seen if power == 2} < {total for power, _, total in seen if power == 1}


def test_the_command_tunes(tiny_checkpoint, tmp_path, capsys):
    line = ["evaluate-saliency", str(tiny_checkpoint), "-o", str(tmp_path), "--images=8", "--split=test"]
    options = ["--tune=gradient", "--grid", "channels=sum,max_abs", "--measures", "complexity"]
    assert main([*line, *options]) == 0
    printed = capsys.readouterr().out
    assert "channels=max_abs: " in printed
    assert (tmp_path / "tuning.txt").read_text() in printed
    assert main([*line, "--tune=gradient"]) == 2
    assert "belong together" in capsys.readouterr().err
    assert main([*line, "--tune=gradient", "--grid", "channels"]) == 2
    assert "OPTION=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("grid", "measure", "words"),
    [({}, "road", "grid"), ({"channels": ["sum"]}, "agreement", "single maps"), ({"chanels": [1]}, "road", "channels")],
)
def test_mistakes_in_tuning(grid, measure, words, tiny_checkpoint):
    if words == "channels":
        with pytest.raises(TypeError, match=words):
            judging.tune_saliency(tiny_checkpoint, "gradient", grid, measure=measure, images=4)
        return
    with pytest.raises(ValueError, match=words):
        judging.tune_saliency(tiny_checkpoint, "gradient", grid, measure=measure, images=4)
