"""Metrics by short names: compared with torchmetrics and scikit-learn, and by hand."""

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics
from torchmetrics.functional.classification import multilabel_average_precision, multilabel_f1_score

from cv_attention.training import Criterion
from cv_attention.training.tasks.labels.named_metrics import BestThresholds, named_metric
from cv_attention.training.tasks.metrics import create_metrics
from cv_attention.training.tasks.selection import monitored

RANDOM = np.random.default_rng(0)
LOGITS = torch.from_numpy(RANDOM.normal(size=(60, 4)))
CLASSES = torch.from_numpy(RANDOM.integers(3, size=60))  # none of the last class
SEVERAL = torch.from_numpy((RANDOM.random((60, 4)) < [0.5, 0.1, 0.3, 0.0]).astype(np.int64))  # nor here


def value(name, targets, batches):
    metric = named_metric(name, 4, targets)
    metric.set_dtype(torch.float64)
    for batch in batches:
        metric.update(*batch)
    return metric.compute().item(), metric


def test_of_one_class_equal_scikit_learn():
    batches = list(zip(LOGITS.split(7), CLASSES.split(7), strict=True))
    predicted, probabilities = LOGITS.argmax(1).numpy(), LOGITS.softmax(1).numpy()
    assert value("balanced_accuracy", "single", batches)[0] == pytest.approx(
        sklearn_metrics.recall_score(CLASSES, predicted, average=None, labels=[0, 1, 2]).mean()
    )
    assert value("f1_micro", "single", batches)[0] == pytest.approx((predicted == CLASSES.numpy()).mean())
    for name, wanted in (("auroc", sklearn_metrics.roc_auc_score), ("map", sklearn_metrics.average_precision_score)):
        each = [wanted(CLASSES.numpy() == label, probabilities[:, label]) for label in range(3)]
        assert value(name, "single", batches)[0] == pytest.approx(np.mean(each)), name


def test_logits_between_0_and_1_are_still_logits():
    """torchmetrics alone would take the second batch for probabilities."""
    logits = torch.tensor([[3.0, -3.0], [0.9, 0.1], [0.1, 0.9], [-1.0, 1.0]], dtype=torch.float64)
    labels = torch.tensor([0, 1, 0, 1])
    metric = named_metric("auroc", 2, "single")
    for part in (slice(0, 1), slice(1, 3), slice(3, 4)):
        metric.update(logits[part], labels[part])
    wanted = sklearn_metrics.roc_auc_score(labels, logits.softmax(1)[:, 1])
    assert metric.compute().item() == pytest.approx(wanted)


def test_of_several_classes_equal_torchmetrics_and_scikit_learn():
    probabilities = LOGITS.sigmoid()
    batches = list(zip(probabilities.split(7), SEVERAL.split(7), strict=True))
    found, metric = value("map", "multi", batches)
    wanted = multilabel_average_precision(probabilities[:, :3], SEVERAL[:, :3], 3).item()  # it counts the last as 0
    assert found == pytest.approx(wanted)
    each = [sklearn_metrics.average_precision_score(SEVERAL[:, c], probabilities[:, c]) for c in range(3)]
    assert metric.by_class[:3].tolist() == pytest.approx(each)
    assert metric.by_class[3].isnan()
    wanted = np.mean([sklearn_metrics.roc_auc_score(SEVERAL[:, c], probabilities[:, c]) for c in range(3)])
    assert value("auroc", "multi", batches)[0] == pytest.approx(wanted)
    decided = (probabilities >= 0.5).long()
    for name in ("f1_macro", "f1_micro"):
        average = name.removeprefix("f1_")
        wanted = multilabel_f1_score(probabilities, SEVERAL, 4, average=average).item()
        assert value(name, "multi", batches)[0] == pytest.approx(wanted)
    assert value("subset_accuracy", "multi", batches)[0] == pytest.approx(
        sklearn_metrics.accuracy_score(SEVERAL, decided)
    )


def test_thresholds_are_those_of_the_best_f1():
    """Tried one by one: no other threshold gives a higher F1 score."""
    probabilities, metric = LOGITS.sigmoid(), BestThresholds(4)
    metric.set_dtype(torch.float64)
    metric.update(probabilities[:20], SEVERAL[:20])
    metric.update(probabilities[20:], SEVERAL[20:])
    found = metric.compute()
    assert found[3] == 0.5  # no image has this class
    for label in range(3):
        true, scores = SEVERAL[:, label].numpy(), probabilities[:, label].numpy()
        best = max(sklearn_metrics.f1_score(true, scores >= tried) for tried in scores)
        assert sklearn_metrics.f1_score(true, scores >= found[label].item()) == pytest.approx(best)


def test_named_metrics_are_among_those_of_a_run():
    found = create_metrics(3, ["balanced_accuracy", "torchmetrics.classification.MulticlassCohenKappa"], torch.float64)
    names = [name for name, _ in found["val"].items(keep_base=True)]
    assert {"accuracy", "loss", "balanced_accuracy", "multiclass_cohen_kappa"} == set(names)
    several = create_metrics(
        3, ["map", "torchmetrics.classification.MultilabelHammingDistance"], torch.float64, "multi"
    )
    assert "multilabel_hamming_distance" in dict(several["test"].items(keep_base=True))
    with pytest.raises(ValueError, match="unknown metric 'f1'; expected one of balanced_accuracy, f1_macro"):
        create_metrics(3, ["f1"], torch.float64)


def test_the_monitored_metric_and_its_direction():
    usual, known = Criterion("accuracy"), {"accuracy": True, "loss": False, "mine": None}
    assert monitored(None, "auto", usual, known) == usual
    assert monitored("val_loss", "auto", usual, known) == Criterion("loss", higher_is_better=False)
    assert monitored("mine", "min", usual, known) == Criterion("mine", higher_is_better=False)
    with pytest.raises(ValueError, match=r"mine does not say whether higher is better; set trainer\.monitor_mode"):
        monitored("mine", "auto", usual, known)
    with pytest.raises(ValueError, match="has the metric 'acuracy'; did you mean 'accuracy'"):
        monitored("acuracy", "auto", usual, known)
