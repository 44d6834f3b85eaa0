"""`zoo build`: every job of the specs that is not up to date, under one lock, within one time budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from microzoo.build.job import JobBuild, Places
from microzoo.build.key import job_key, search_identity
from microzoo.build.report import Report
from microzoo.build.scratch import history_path
from microzoo.catalog.lock import locked
from microzoo.catalog.store import clear_leftovers, damage, entries
from microzoo.errors import CatalogError, MicrozooError, TrainingError
from microzoo.search.history import History
from microzoo.spec.load import Job


@dataclass(frozen=True)
class Plan:
    """One job and what there is of it: `entry_ids` not empty: it is up to date; `evaluations`: finished in the history."""

    job: Job
    entry_ids: tuple[str, ...]
    evaluations: int


def overridden(jobs: Sequence[Job], *, seed: int | None) -> list[Job]:
    """The jobs with the command line's seed in place of their specs'."""
    if seed is None:
        return list(jobs)
    return [_with_seed(job, seed) for job in jobs]


def device_for(wanted: str) -> str:
    """The torch device for "auto", "cpu" or "cuda". Raises TrainingError where CUDA is asked for and not there."""
    if wanted == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if wanted == "cuda":
        raise TrainingError(f"--device cuda: torch {torch.__version__} sees no CUDA device", "use --device cpu")
    return "cpu"


def plan(jobs: Sequence[Job], zoo: Path, work: Path) -> list[Plan]:
    """What a build would do. Raises CatalogError where an entry is damaged."""
    published = entries(zoo)
    plans = []
    for job in jobs:
        key = job_key(job)
        mine = [entry for entry in published if entry.card.id.rpartition("/")[0] == job.place]
        current = tuple(entry.card.id for entry in mine) if mine and all(entry.card.key == key for entry in mine) else ()
        identity = search_identity(job)
        path = history_path(work, job, identity)
        done = 0
        if path.is_file():
            with History(path, identity) as history:
                done = len(history.rows())
        plans.append(Plan(job, current, done))
    return plans


def build(jobs: Sequence[Job], places: Places, report: Report, *, seconds: float | None, force: bool) -> list[str]:
    """Builds what is not up to date; gives the IDs of all entries of the jobs.

    seconds: time budget of the whole call, shared evenly among what is still to do; None: each spec's own. A job that fails
    does not stop the others; its error is raised at the end.
    """
    with locked(places.zoo):
        clear_leftovers(places.zoo)
        plans = plan(jobs, places.zoo, places.work)
        todo = [item.job for item in plans if force or not item.entry_ids]
        ids: list[str] = []
        for item in plans:
            if item.entry_ids and not force:
                _check_files(places.zoo, item.entry_ids)
                ids.extend(item.entry_ids)
                report.note(f"{item.job.place}: up to date, checksums of {len(item.entry_ids)} verified")
        errors: list[MicrozooError] = []
        for number, job in enumerate(todo):
            report.job(job.place, number + 1, len(todo))
            own = job.family.budget.minutes
            budget = None if own is None else own * 60.0
            if seconds is not None:
                budget = seconds / (len(todo) - number)
            current = JobBuild(job, places, budget, report)
            try:
                ids.extend(current.run())
            except MicrozooError as error:
                report.note(f"{job.place}: failed: {error}")
                errors.append(error)
            if seconds is not None:
                seconds = max(1.0, seconds - current.clock.elapsed)
        if errors:
            raise errors[0]
        return ids


def _check_files(zoo: Path, ids: Sequence[str]) -> None:
    for entry in entries(zoo):
        if entry.card.id in ids and (problems := damage(entry)):
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise CatalogError(problems[0] + more, "restore the file, or delete the entry's folder and build again")


def _with_seed(job: Job, seed: int) -> Job:
    family = job.family.model_copy(update={"seed": seed})
    return Job(job.family_name, family, job.dataset_name, job.dataset, job.target_name, job.target)
