"""Runs trials on a Ray cluster: each place is an actor, and Ray decides on which machine."""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cv_attention.extras import require
from cv_attention.study.design.trials import Trial
from cv_attention.study.running.absolute import on_other_machines
from cv_attention.study.running.bookkeeping import RemoteAccount, gpus_of
from cv_attention.study.running.engine import LOST, Ended, EngineLost
from cv_attention.study.running.local import LocalEngine, code_of_only
from cv_attention.study.running.worker import work


class RayEngine(RemoteAccount):
    """Trains trials on a Ray cluster, which places, queues and replaces the processes.

    The cluster is that of ``RAY_ADDRESS``, or one on this machine that ends with the study. All machines must see the
    folder of the studies and the images under the same paths. Each place holds a worker that starts one process per
    trial from a common one, so that packages are imported once. If a worker or its machine is lost, its trial resumes
    from its checkpoint on another one; if the driver is lost, all trials write a checkpoint and end.

    Args:
        workers: How many trials are trained at once; None takes as many as fit into the cluster when it is opened.
        threads: Threads, and thus processors, of each.
        gpus: GPUs of each; a fraction shares one. None takes ``trainer.devices`` (1 for ``auto``) where the cluster has
            GPUs and ``trainer.accelerator`` is not ``cpu``.
        address: Of the cluster; None takes ``RAY_ADDRESS``, or starts one.
        target: What a process runs; `worker.work`, but for tests.

    Attributes:
        workers: How many trials are trained at once; 0 before `open` if the cluster decides.
        threads: Threads of each.

    Raises:
        MissingPackage: if Ray is not installed.

    Examples:
        >>> from cv_attention.study import RayEngine
        >>> engine = RayEngine(8, threads=4, gpus=0.5)  # doctest: +SKIP
        >>> engine.free  # doctest: +SKIP
        8
    """

    def __init__(
        self,
        workers: int | None = None,
        threads: int = 1,
        gpus: float | None = None,
        address: str | None = None,
        *,
        target: Callable[..., None] = work,
    ) -> None:
        require("ray", "the engine ray")
        super().__init__(workers or 0, threads)
        self._gpus, self._address, self._target = gpus, address, target
        self._idle: list[tuple[float, Any]] = []  # GPUs of an actor, and the actor

    def open(self, root: Path) -> None:
        """Connects to the cluster, or starts one.

        Args:
            root: Folder of the studies, in which this engine keeps nothing.

        Raises:
            EngineLost: if the cluster cannot be reached.
        """
        if not self._address and not os.environ.get("RAY_ADDRESS"):
            os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # a cluster of this machine alone
        ray = _client()
        try:
            ray.init(self._address, log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
        except Exception as error:  # a plain one where its processes do not start
            raise EngineLost(f"the Ray cluster cannot be reached: {' '.join(str(error).split())}") from error
        resources = ray.cluster_resources()
        self._cluster_gpus = resources.get("GPU", 0.0)
        if not self.workers:
            fitting = resources.get("CPU", 1.0) / self.threads
            if self._cluster_gpus:
                fitting = min(fitting, self._cluster_gpus / (self._gpus or 1.0))
            self.workers = max(1, int(fitting))

    def close(self) -> None:
        """Disconnects; a cluster that was started here ends."""
        ray = _client()
        self._idle.clear()
        ray.shutdown()

    def start(self, trial: Trial, log: Path) -> None:
        """Starts a trial in a worker, which Ray places as soon as there is room for it.

        Args:
            trial: The trial.
            log: File that takes what it prints.
        """
        gpus = self._gpus_of(trial)
        number = next((n for n, (held, _) in enumerate(self._idle) if held == gpus), None)
        actor = self._idle.pop(number)[1] if number is not None else self._actor(gpus)
        reference = actor.train.remote(on_other_machines(trial), str(log.resolve()))
        self._begin(reference, actor, trial)

    def ended(self, timeout: float) -> list[Ended]:
        """Waits until a trial has ended, and returns all that have; none after `timeout` seconds.

        Raises:
            EngineLost: if the cluster cannot be reached any more.
        """
        ray = _client()
        self._obey()
        if not self._running:
            return []
        done, _ = ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        if not done:
            done, _ = ray.wait(list(self._running), num_returns=1, timeout=timeout)
        return [self._ended(reference) for reference in done]

    def _gpus_of(self, trial: Trial) -> float:
        if self._gpus is not None:
            return self._gpus
        return float(gpus_of(trial)) if self._cluster_gpus else 0.0

    def _actor(self, gpus: float) -> Any:
        ray = _client()
        made = ray.remote(num_cpus=self.threads, num_gpus=gpus, max_restarts=0, max_concurrency=2)(RayWorker)
        return made.remote(self.threads, os.getcwd(), sys.path, self._target)

    def _ended(self, reference: Any) -> Ended:
        ray = _client()
        actor, trial, seconds = self._take(reference)
        try:
            code = ray.get(reference)
            self._idle.append((self._gpus_of(trial), actor))
        except ray.exceptions.RayError:
            code = LOST
            ray.kill(actor)
            self._check_cluster()
        return Ended(trial, code, seconds)

    def _check_cluster(self) -> None:
        ray = _client()
        try:
            alive = any(node.get("Alive") for node in ray.nodes())
        except Exception as error:  # whatever the client raises without its cluster
            raise EngineLost(f"the Ray cluster is lost: {' '.join(str(error).split())[:300]}") from error
        if not alive:
            raise EngineLost("the Ray cluster is lost: none of its machines is alive")

    def _stop_one(self, runner: Any, trial: Trial) -> None:
        ray = _client()
        started, _ = ray.wait([runner.begun.remote()], timeout=2.0)
        runner.stop.remote() if started else ray.kill(runner)  # one that waits for a machine has begun nothing

    def _kill_one(self, runner: Any) -> None:
        _client().kill(runner)


class RayWorker:
    """Trains trials one after the other on the machine that Ray has chosen.

    Args:
        threads: Threads of each.
        folder: Current folder of the driver.
        path: The driver's ``sys.path``.
        target: What a process runs.
    """

    def __init__(self, threads: int, folder: str, path: Sequence[str], target: Callable[..., None]) -> None:
        os.chdir(folder)
        sys.path.extend(entry for entry in path if entry not in sys.path)
        self._engine = LocalEngine(1, threads, target=target)
        self._stopping = False

    def begun(self) -> bool:
        """Returns True: the worker has its machine."""
        return True

    def train(self, trial: Trial, log: str) -> int:
        """Trains a trial and returns the exit code of its process.

        Args:
            trial: The trial.
            log: File that takes what it prints.
        """
        self._engine.open(Path(log).parent)
        self._engine.start(trial, Path(log))
        return code_of_only(self._engine, lambda: self._stopping)  # it may have been asked before it was started

    def stop(self) -> None:
        """Asks the trial to write a checkpoint and end."""
        self._stopping = True
        self._engine.stop()


def _client() -> Any:
    import ray  # pyright: ignore[reportMissingImports]  # an extra, which takes a second to import

    return ray
