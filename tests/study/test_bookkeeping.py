"""The account that all engines keep, with a made-up machine."""

from cv_attention.config import Experiment, Log, Trainer
from cv_attention.study import Trial
from cv_attention.study.running.bookkeeping import RemoteAccount, gpus_of


class Machine(RemoteAccount):
    """Notes what it is asked for."""

    def __init__(self):
        super().__init__(3, 1)
        self.asked = []

    def _stop_one(self, runner, trial):
        self.asked.append(("stop", runner, trial.name))

    def _kill_one(self, runner):
        self.asked.append(("kill", runner))


def a_trial(name, **trainer):
    return Trial("se", "", 0, Experiment(log=Log(name=name), trainer=Trainer(**trainer)))


def test_places_are_taken_and_free_again():
    machine = Machine()
    first, second = a_trial("one"), a_trial("two")
    machine._begin("a", "runner a", first)
    machine._begin("b", "runner b", second)
    assert (machine.free, machine.running) == (1, [first, second])
    runner, trial, seconds = machine._take("a")
    assert (runner, trial, 0 <= seconds < 60) == ("runner a", first, True)
    assert (machine.free, machine.running) == (2, [second])


def test_a_signal_only_notes_and_each_trial_is_asked_once():
    machine = Machine()
    machine._begin("a", "runner a", a_trial("one"))
    machine.stop()
    assert machine.asked == []
    machine._obey()
    machine._obey()
    machine._begin("b", "runner b", a_trial("two"))
    machine._obey()
    assert machine.asked == [("stop", "runner a", "one"), ("stop", "runner b", "two")]
    machine.kill()
    machine._obey()
    assert machine.asked[2:] == [("kill", "runner a"), ("kill", "runner b")]


def test_gpus_are_those_of_the_configuration():
    found = [gpus_of(a_trial("x", **options)) for options in ({}, {"devices": 4}, {"devices": 4, "accelerator": "cpu"})]
    assert found == [1, 4, 0]
