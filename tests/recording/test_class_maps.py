"""The classes whose maps are recorded: the most probable ones and the true one."""

import torch

from cv_attention.recording.snapshots.class_maps import top_and_true


def test_the_true_class_comes_fourth_unless_it_is_there_or_unknown():
    logits = torch.tensor([[5.0, 4.0, 3.0, 2.0, 1.0, 0.0]]).repeat(4, 1)
    found = top_and_true(logits, torch.tensor([5, 1, 3, -1]))
    assert found.tolist() == [[0, 1, 2, 5], [0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]]


def test_few_classes_are_all_explained():
    assert top_and_true(torch.tensor([[1.0, 3.0, 2.0]]), torch.tensor([0])).tolist() == [[1, 2, 0]]
