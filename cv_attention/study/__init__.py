"""Answers which attention helps and whether it is worth its cost: plans, trains, judges and reports a study.

`make_plan` reads a study file; `train` trains what is missing and writes the results; `report` writes them alone.
"""

from cv_attention.study.design.file import Controls, StudyFile, Tune, read_study
from cv_attention.study.design.plan import Plan, make_plan
from cv_attention.study.design.trials import Trial
from cv_attention.study.foreseeing import dry_run
from cv_attention.study.record import Record, StudyFolder
from cv_attention.study.reporting.results import Results
from cv_attention.study.running.driving import DiskFull, Stopped
from cv_attention.study.running.engine import EngineLost
from cv_attention.study.running.local import LocalEngine
from cv_attention.study.running.on_ray import RayEngine
from cv_attention.study.running.on_slurm import SlurmEngine
from cv_attention.study.session import Limits, report, train

__all__ = [
    "Controls", "DiskFull", "EngineLost", "Limits", "LocalEngine", "Plan", "RayEngine", "Record", "Results",
    "SlurmEngine", "Stopped", "StudyFile", "StudyFolder", "Trial", "Tune", "dry_run", "make_plan", "read_study",
    "report", "train",
]  # fmt: skip
