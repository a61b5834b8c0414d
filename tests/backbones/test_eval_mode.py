"""Eval mode for a while: every module gets its own mode back."""

import threading

import pytest
import torch
from torch import nn

from cv_attention.backbones.tracing.eval_mode import eval_mode


class Stubborn(nn.Sequential):
    """Keeps its first module in eval mode, whatever it is told, and counts the calls."""

    calls = 0

    def train(self, mode=True):
        self.calls += 1
        super().train(mode)
        self[0].training = False
        return self


def model():
    return nn.Sequential(nn.BatchNorm2d(3), Stubborn(nn.Dropout(), nn.BatchNorm2d(3)), nn.ReLU()).train()


def modes(network):
    return [module.training for module in network.modules()]


def test_each_module_gets_its_own_mode_back():
    network = model()
    network[0].eval()  # frozen statistics
    before, calls = modes(network), network[1].calls
    assert before == [True, False, True, False, True, True]
    with eval_mode(network):
        assert not any(modes(network))
        network(torch.randn(2, 3, 4, 4))
    assert modes(network) == before
    assert network[1].calls == calls  # neither train() nor eval(), which models override
    assert network[1][1].num_batches_tracked == 0


def test_a_model_that_changes_its_own_mode_is_restored_too():
    network = model()
    network[1].eval()
    before = modes(network)
    with eval_mode(network):
        network[1].train()
    assert modes(network) == before


def test_an_error_and_nested_calls_restore_it_once():
    network = model()
    before = modes(network)
    with eval_mode(network):
        with pytest.raises(RuntimeError), eval_mode(network):
            raise RuntimeError
        assert not any(modes(network))
    assert modes(network) == before


def test_the_last_of_several_threads_restores_it():
    network, entered, leave = model(), threading.Event(), threading.Event()
    before = modes(network)

    def hold():
        with eval_mode(network):
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=hold)
    with eval_mode(network):
        thread.start()
        assert entered.wait(10)
    assert not any(modes(network))
    leave.set()
    thread.join()
    assert modes(network) == before
