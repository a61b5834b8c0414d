"""Losses of classifiers: compared with timm, torch, torchvision, and by hand."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cv_attention.config import Data, Experiment, Loss, Model, Optimizer, Subset
from cv_attention.config.checking import check
from cv_attention.training import Classifier, DataFacts
from cv_attention.training.tasks.labels.losses import ClassLoss, class_weights

LOGITS = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2
CLASSES = torch.tensor([0, 3, 1, 1, 2, 0])
SEVERAL = torch.tensor([[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0]])


def loss(config, smoothing=0.0, weights=None, targets="single"):
    return ClassLoss(config, smoothing, weights, classes=4, targets=targets)


@pytest.mark.parametrize(
    ("smoothing", "threshold", "sum_classes"), [(0, None, False), (0.1, None, True), (0.1, 0.2, 0)]
)
def test_bce_of_one_class_equals_timm(smoothing, threshold, sum_classes):
    timm_loss = pytest.importorskip("timm.loss").BinaryCrossEntropy(
        smoothing=smoothing, target_threshold=threshold, sum_classes=bool(sum_classes)
    )
    config = Loss("bce", target_threshold=threshold, sum_classes=bool(sum_classes))
    torch.testing.assert_close(loss(config, smoothing)(LOGITS, CLASSES), timm_loss(LOGITS, CLASSES))


def test_bce_of_mixed_labels_equals_timm():
    """timm smooths before mixing, ClassLoss after it: the same."""
    from timm.loss import BinaryCrossEntropy

    smooth = F.one_hot(CLASSES, 4).double() * 0.9 + 0.1 / 4
    mixed = F.one_hot(CLASSES, 4).double() * 0.7 + F.one_hot(CLASSES.roll(1), 4) * 0.3
    smoothed = smooth * 0.7 + smooth.roll(1, 0) * 0.3
    wanted = BinaryCrossEntropy(smoothing=0, target_threshold=0.2)(LOGITS, smoothed)
    torch.testing.assert_close(loss(Loss("bce", target_threshold=0.2), 0.1)(LOGITS, mixed), wanted)


def test_bce_of_several_classes_equals_torch_with_pos_weight():
    weights = [1.0, 3.0, 0.5, 2.0]
    wanted = F.binary_cross_entropy_with_logits(
        LOGITS, SEVERAL.double(), pos_weight=torch.tensor(weights, dtype=torch.float64), reduction="none"
    )
    found = loss(Loss(), weights=weights, targets="multi")
    torch.testing.assert_close(found.each(LOGITS, SEVERAL), wanted.mean(1))
    torch.testing.assert_close(found(LOGITS, SEVERAL), wanted.mean())


def test_smoothing_of_several_classes_moves_towards_a_half():
    wanted = F.binary_cross_entropy_with_logits(LOGITS, SEVERAL.double() * 0.8 + 0.1)
    torch.testing.assert_close(loss(Loss(), 0.2, targets="multi")(LOGITS, SEVERAL), wanted)


def test_focal_loss_by_hand():
    """(1 - p)^2 alpha -log p: for logits of 0, 0.25 * 0.25 * ln 2 of a positive and three times this otherwise."""
    zeros = torch.zeros(1, 4)
    found = loss(Loss("focal"), targets="multi")(zeros, torch.tensor([[1, 0, 0, 0]]))
    assert float(found) == pytest.approx((0.25 + 3 * 0.75) * 0.25 * math.log(2) / 4)
    plain = loss(Loss("focal", focal_gamma=0.0, focal_alpha=None), targets="multi")(LOGITS, SEVERAL)
    torch.testing.assert_close(plain, F.binary_cross_entropy_with_logits(LOGITS, SEVERAL.double()))
    one, several = loss(Loss("focal")), loss(Loss("focal"), targets="multi")
    torch.testing.assert_close(one(LOGITS, CLASSES), several(LOGITS, F.one_hot(CLASSES, 4)))
    weighted = loss(Loss("focal"), weights=[3.0, 1, 1, 1], targets="multi").each(zeros, torch.tensor([[1, 0, 0, 0]]))
    assert float(weighted[0]) == pytest.approx((3 * 0.25 + 3 * 0.75) * 0.25 * math.log(2) / 4)


@pytest.mark.parametrize("name", ["cross_entropy", "bce", "focal"])
def test_class_weights_multiply_the_losses_of_a_class(name):
    weights = [1.0, 3.0, 0.5, 2.0]
    plain, weighted = loss(Loss(name)), loss(Loss(name), weights=weights)
    factors = torch.tensor(weights, dtype=torch.float64)[CLASSES]
    torch.testing.assert_close(weighted.each(LOGITS, CLASSES), factors * plain.each(LOGITS, CLASSES))
    torch.testing.assert_close(weighted(LOGITS, CLASSES), weighted.each(LOGITS, CLASSES).mean())


def test_the_default_loss_is_torch_s_to_the_bit():
    mixed = F.one_hot(CLASSES, 4).double() * 0.7 + 0.075
    for labels in (CLASSES, mixed):
        assert torch.equal(
            loss(Loss(), 0.1)(LOGITS, labels), torch.nn.CrossEntropyLoss(label_smoothing=0.1)(LOGITS, labels)
        )


def test_balanced_weights_equal_scikit_learn_s():
    from sklearn.utils.class_weight import compute_class_weight

    labels = [0] * 8 + [1] * 2 + [2] * 6
    wanted = compute_class_weight("balanced", classes=np.array([0, 1, 2]), y=labels)
    assert class_weights("balanced", "abc", (8, 2, 6), 16, "single") == pytest.approx(wanted.tolist())
    assert class_weights("balanced", "abc", (8, 2, 16), 16, "multi") == [1.0, 7.0, 1.0]
    assert class_weights({"b": 2}, "abc", (), 0, "single") == [1.0, 2.0, 1.0]


def test_weights_of_a_checkpoint_are_not_among_its_tensors():
    facts = DataFacts(("a", "b"), (0.5,) * 3, (0.2,) * 3, (16, 16), class_counts=(3, 1), images=4)
    experiment = Experiment(model=Model(options={"width": 4}), loss=Loss(class_weights="balanced"))
    task = Classifier(experiment, facts)
    assert task.loss.weights.tolist() == pytest.approx([2 / 3, 2])
    assert all(name.startswith("network.") for name in task.state_dict())
    assert task.guess() is None  # its loss is not ln 2


@pytest.mark.parametrize(
    ("experiment", "words"),
    [
        (Experiment(loss=Loss("mse")), "loss.name is mse, but data.targets is single: use auto, cross_entropy"),
        (Experiment(data=Data(targets="multi"), loss=Loss("cross_entropy")), "use bce"),
        (Experiment(data=Data(targets="numbers"), loss=Loss(class_weights="balanced")), "does not use it"),
        (Experiment(loss=Loss(focal_gamma=1.0)), "loss.focal_gamma is 1.0, but the loss cross_entropy"),
        (Experiment(loss=Loss(class_weights={"a": 0.0})), "must be above 0 and finite, got 0.0"),
        (Experiment(data=Data(name="folder", targets="multi")), "gives each image one class"),
        (Experiment(data=Data(targets="numbers", subset=Subset(per_class=3))), "fraction"),
    ],
)
def test_what_does_not_fit_is_refused(experiment, words):
    with pytest.raises(ValueError, match=words):
        check(experiment)


def test_an_unknown_class_is_refused():
    with pytest.raises(ValueError, match="unknown class 'cats'; did you mean 'cat'"):
        class_weights({"cats": 2.0}, ("cat", "dog"), (), 0, "single")
    with pytest.raises(ValueError, match="do not say how many"):
        class_weights("balanced", ("cat", "dog"), (), 0, "single")
    bags = Experiment(data=Data(name="digit_bags"), loss=Loss("bce"), optimizer=Optimizer())
    from cv_attention.training import BagClassifier

    with pytest.raises(ValueError, match=r"loss\.name is bce, but the task bags does not use it"):
        BagClassifier(bags, DataFacts(("a", "b"), (0.5,) * 3, (0.2,) * 3, (16, 16)))
