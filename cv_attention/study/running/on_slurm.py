"""Runs trials as jobs of SLURM, submitted by submitit: one job per trial, and the queue decides."""

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cv_attention.extras import require
from cv_attention.rundir.files import write_text
from cv_attention.study.design.trials import Trial
from cv_attention.study.running.absolute import on_other_machines
from cv_attention.study.running.bookkeeping import RemoteAccount, gpus_of
from cv_attention.study.running.engine import LOST, Ended, EngineLost
from cv_attention.study.running.local import LocalEngine, code_of_only
from cv_attention.study.running.worker import work

_MINUTES = 240  # of a job, unless the options say otherwise; submitit's own five would end most
_TIMEOUTS = 1000  # of one job, which resumes after each from a checkpoint
_PENDING = ("PENDING", "CONFIGURING", "REQUEUED", "UNKNOWN")


class SlurmEngine(RemoteAccount):
    """Trains trials as jobs of a SLURM cluster, through submitit.

    Each trial is one job. One that is preempted, or reaches its time limit, writes a checkpoint and is queued again. If
    the driver is lost, its jobs go on, and the same command finds them again. All machines must see the folder of the
    studies, the images and the environment under the same paths.

    Args:
        workers: How many jobs are in the queue at once.
        threads: Threads, and thus ``cpus_per_task``, of each.
        gpus: GPUs of each, a whole number; None takes ``trainer.devices`` (1 for ``auto``), and none where
            ``trainer.accelerator`` is ``cpu``.
        options: Parameters of ``submitit.AutoExecutor``: ``partition``, ``account``, ``qos``, ``timeout_min``,
            ``mem_gb``, ...; those of SLURM with or without ``slurm_``. ``cluster: local`` runs the jobs on this
            machine, to try it out.
        target: What a process runs; `worker.work`, but for tests.

    Attributes:
        workers: How many jobs are in the queue at once.
        threads: Threads of each.

    Raises:
        MissingPackage: if submitit is not installed.
        ValueError: if there is no SLURM here, or `gpus` is a fraction.

    Examples:
        >>> from cv_attention.study import SlurmEngine
        >>> SlurmEngine(16, threads=4, options={"partition": "gpu", "timeout_min": 120})  # doctest: +SKIP
    """

    def __init__(
        self,
        workers: int = 64,
        threads: int = 1,
        gpus: float | None = None,
        options: Mapping[str, Any] | None = None,
        *,
        target: Callable[..., None] = work,
    ) -> None:
        require("slurm", "the engine slurm")
        super().__init__(workers, threads)
        self._target = target
        self._options = dict(options or {})
        self._cluster = str(self._options.pop("cluster", "slurm"))
        if self._cluster not in ("slurm", "local"):
            raise ValueError(f"cluster must be slurm or local, got {self._cluster}")
        if self._cluster == "slurm" and shutil.which("sbatch") is None:
            raise ValueError("the engine slurm needs SLURM's sbatch on this machine; cluster=local tries it without")
        if gpus is not None and gpus != int(gpus):
            raise ValueError(f"a job of SLURM has whole GPUs, got {gpus:g}")
        self._gpus = None if gpus is None else int(gpus)

    def open(self, root: Path) -> None:
        """Prepares the folder ``slurm`` of jobs and their logs.

        Args:
            root: Folder of the studies.

        Raises:
            ValueError: if submitit does not know an option.
        """
        import submitit  # pyright: ignore[reportMissingImports]  # an extra

        self._folder = root.resolve() / "slurm"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._executor = submitit.AutoExecutor(
            folder=self._folder, cluster=self._cluster, **{f"{self._cluster}_max_num_timeout": _TIMEOUTS}
        )
        own = {"name": "cv-attention", "timeout_min": _MINUTES, "cpus_per_task": self.threads}
        generic = self._executor._typed_parameters()
        options = {
            name if name in generic or name.startswith(("slurm_", "local_")) else f"slurm_{name}": value
            for name, value in self._options.items()
        }
        try:
            self._executor.update_parameters(**{**own, **options})
        except (NameError, AssertionError) as error:
            raise ValueError(f"options of the engine slurm: {' '.join(str(error).split())[:500]}") from error

    def close(self) -> None:
        """Does nothing: jobs belong to the queue."""

    def start(self, trial: Trial, log: Path) -> None:
        """Queues a trial, unless a job of an earlier driver still trains it.

        Args:
            trial: The trial.
            log: File that takes what it prints.

        Raises:
            EngineLost: if the queue takes no job.
        """
        stop = self._file(trial, "stop")
        job = self._earlier(trial)
        if job is None:
            stop.unlink(missing_ok=True)
            self._executor.update_parameters(gpus_per_node=self._gpus_of(trial))
            moved = on_other_machines(trial)
            try:
                job = self._executor.submit(TrialJob(moved, self.threads, str(log.resolve()), str(stop), self._target))
            except Exception as error:  # submitit's own errors, and those of the commands it runs
                raise EngineLost(f"the queue takes no job: {' '.join(str(error).split())[:300]}") from error
            write_text(self._file(trial, "job"), f"{job.job_id}\n")
        self._begin(job.job_id, job, trial)

    def ended(self, timeout: float) -> list[Ended]:
        """Waits until a job has ended, and returns the trials of all that have; none after `timeout` seconds."""
        end = time.monotonic() + timeout
        while True:
            self._obey()
            found = [name for name, (job, _, _) in self._running.items() if job.done()]
            if found or time.monotonic() >= end:
                return [self._ended(name) for name in found]
            time.sleep(0.2)

    def _gpus_of(self, trial: Trial) -> int:
        if self._gpus is not None:
            return self._gpus
        return 0 if self._cluster == "local" else gpus_of(trial)

    def _file(self, trial: Trial, kind: str) -> Path:
        return self._folder / f"{trial.name}.{kind}"

    def _earlier(self, trial: Trial) -> Any:
        """Returns the job of an earlier driver, if it has not ended; of jobs on this machine nothing is known."""
        import submitit  # pyright: ignore[reportMissingImports]  # an extra

        noted = self._file(trial, "job")
        if self._cluster != "slurm" or not noted.is_file() or self._file(trial, "stop").is_file():
            return None
        job: Any = submitit.SlurmJob(folder=self._folder / "%j", job_id=noted.read_text().strip())
        return None if job.done(force_check=True) or job.state == "UNKNOWN" else job

    def _ended(self, name: str) -> Ended:
        job, trial, seconds = self._take(name)
        try:
            code = int(job.result())
        except Exception:  # cancelled, out of memory, a lost machine: whatever submitit says, the trial has not ended
            code = LOST
        for kind in ("job", "stop"):
            self._file(trial, kind).unlink(missing_ok=True)
        return Ended(trial, code, seconds)

    def _stop_one(self, runner: Any, trial: Trial) -> None:
        write_text(self._file(trial, "stop"), "")
        if self._cluster == "slurm" and runner.state.split()[0] in _PENDING:
            runner.cancel(check=False)

    def _kill_one(self, runner: Any) -> None:
        runner.cancel(check=False)


class TrialJob:
    """Trains one trial in a job; what submitit calls there.

    Args:
        trial: The trial.
        threads: Threads of it.
        log: File that takes what it prints.
        stop: File that asks it, once it exists, to write a checkpoint and end.
        target: What its process runs.
    """

    def __init__(self, trial: Trial, threads: int, log: str, stop: str, target: Callable[..., None] = work) -> None:
        self._arguments = (trial, threads, log, stop, target)

    def __call__(self) -> int:
        """Trains the trial and returns the exit code of its process."""
        trial, threads, log, stop, target = self._arguments
        self._engine = LocalEngine(1, threads, target=target)
        self._engine.open(Path(stop).parent)
        self._engine.start(trial, Path(log))
        return code_of_only(self._engine, Path(stop).is_file)

    def checkpoint(self) -> Any:
        """Stops the trial before a time limit or a preemption, and returns the job that resumes it."""
        from submitit.helpers import DelayedSubmission  # pyright: ignore[reportMissingImports]

        self._engine.stop()
        while self._engine.running:
            self._engine.ended(1.0)
        return DelayedSubmission(TrialJob(*self._arguments))
