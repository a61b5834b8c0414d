"""Tasks and data modules that lack something: each is named, before training where that can be known."""

import pytest
import torch
from torch.utils.data import TensorDataset

from cv_attention import training
from cv_attention.training.tasks.contract import check_data
from tests.training.test_own_task import Regressor, Split, Squares, experiment

FACTS = training.ImageFacts((0.5,) * 3, (0.25,) * 3, (16, 16))


class NoTest(training.Task):
    name, criterion = "mine", training.Criterion("mse", higher_is_better=False)
    build, training_step, validation_step = Regressor.build, Regressor.training_step, Regressor.validation_step


class NoName(Regressor):
    name = None  # pyright: ignore[reportAssignmentType]


class TextAsCriterion(Regressor):
    criterion = "mse"  # pyright: ignore[reportAssignmentType]


class NetworkAlone(Regressor):
    def build(self):
        return super().build()[0]


class NoTestSplit(Squares):
    def setup(self, stage=None) -> None:
        super().setup()
        self.splits.pop("test", None)


class PlainData(Squares):
    def setup(self, stage=None) -> None:
        super().setup()
        self.splits["val"] = TensorDataset(torch.zeros(3, 3, 16, 16))


class FilesWithoutBatches(Squares):
    def setup(self, stage=None) -> None:
        super().setup()
        self.splits["train"].resident = False


class OneChannel(Squares):
    def setup(self, stage=None) -> None:
        super().setup()
        self.mean = (0.5,)  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("task", "data", "message"),
    [
        (
            Regressor(experiment("."), training.ImageFacts((0.5,) * 3, (0.5,) * 3, (16, 16))),
            Squares(),
            "must be a class",
        ),
        (NoTest, Squares(), "NoTest must implement test_step"),
        (NoName, Squares(), "NoName.name must be a text, such as 'regression', got None"),
        (TextAsCriterion, Squares(), "TextAsCriterion.criterion must be like Criterion"),
        (NetworkAlone, Squares(), "NetworkAlone.build must return a network and its plan"),
        (Regressor, Squares, "datamodule must be an instance .* got the class Squares"),
        (Regressor, Split(3, 0), "datamodule must be an instance .* got a Split"),
        (Regressor, NoTestSplit(), "NoTestSplit.setup must set the splits train, val, test; it lacks test"),
        (Regressor, PlainData(), "the split val, a TensorDataset, lacks resident, batch; see"),
        (Regressor, FilesWithoutBatches(), "the split train, a Split, lacks __getitems__; see"),
        (Regressor, OneChannel(), r"OneChannel.setup must set mean to 3 numbers, got \(0.5,\)"),
    ],
)
def test_what_is_missing_is_named_before_training(tmp_path, task, data, message):
    with pytest.raises(ValueError, match=message):
        training.prepare(experiment(tmp_path), task=task, datamodule=data)
    assert not list(tmp_path.iterdir())


def test_only_the_test_split_is_needed_for_a_test():
    module = Squares()
    module.setup()
    del module.splits["val"]
    check_data(module, ("test",))


class OtherMetric(Regressor):
    def validation_step(self, batch, step):
        self.log("val_mae", self.mse(batch))


class NoLoss(Regressor):
    def training_step(self, batch, step):
        super().training_step(batch, step)


class OtherFigure(Regressor):
    train_figures = ("squared_error",)


@pytest.mark.filterwarnings("ignore:.training_step. returned .None.")
@pytest.mark.parametrize(
    ("task", "message"),
    [
        (OtherMetric, "validation of OtherMetric must log val_mse, which its criterion names; it logged val_mae"),
        (NoLoss, "NoLoss.training_step must return the loss"),
        (OtherFigure, "train_figures names squared_error, but epoch_means.add got absolute_error"),
    ],
)
def test_what_a_step_lacks_is_named(tmp_path, task, message):
    with pytest.raises(ValueError, match=message):
        training.fit(training.prepare(experiment(tmp_path), task=task, datamodule=Squares()))
