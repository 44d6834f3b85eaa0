"""`zoo build`: every job of the specs that is not up to date, under one lock, within one time budget."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from microzoo.build.job import JobBuild, Places
from microzoo.build.key import job_key, search_identity
from microzoo.build.report import Report
from microzoo.build.scratch import history_path
from microzoo.catalog.lock import locked
from microzoo.catalog.store import clear_leftovers, damage, entries, read_entry
from microzoo.data.load import out_of_reach
from microzoo.errors import CatalogError, MicrozooError, TrainingError
from microzoo.search.history import count_evaluations
from microzoo.spec.load import Job


@dataclass(frozen=True)
class Plan:
    """One job and its entries in the zoo, where these are complete and up to date; else none."""

    job: Job
    entry_ids: tuple[str, ...]


def overridden(jobs: Sequence[Job], *, seed: int | None) -> list[Job]:
    """The jobs with the command line's seed in place of their specs'."""
    if seed is None:
        return list(jobs)
    return [replace(job, family=job.family.model_copy(update={"seed": seed})) for job in jobs]


def device_for(wanted: str) -> str:
    """The torch device for "auto", "cpu" or "cuda". Raises TrainingError where CUDA is asked for and not there."""
    if wanted == "cpu" or (wanted == "auto" and not _has_cuda_driver()):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if wanted == "cuda":
        raise TrainingError(f"--device cuda: torch {torch.__version__} sees no CUDA device", "use --device cpu")
    return "cpu"


def _has_cuda_driver() -> bool:
    """Whether asking torch is worth its 500 MB in this process, which trains nothing itself."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def plan(jobs: Sequence[Job], zoo: Path) -> list[Plan]:
    """What is up to date. Raises CatalogError where an entry is damaged."""
    published = entries(zoo)
    plans = []
    for job in jobs:
        key = job_key(job)
        mine = [entry.card for entry in published if entry.card.id.rpartition("/")[0] == job.place]
        names = tuple(card.id.rpartition("/")[2] for card in mine)
        current = bool(mine) and all(card.key == key and sorted(card.siblings) == sorted(names) for card in mine)
        plans.append(Plan(job, tuple(card.id for card in mine) if current else ()))
    return plans


def evaluations_done(job: Job, work: Path) -> int:
    """Evaluations in the history of a job's search. Reads only; 0 where there is none or it cannot be read."""
    return count_evaluations(history_path(work, job, search_identity(job)))


def build(
    jobs: Sequence[Job],
    places: Places,
    report: Report,
    *,
    seconds: float | None,
    force: bool,
    reuse: bool,
    render: Callable[[], Path],
) -> tuple[list[str], Path]:
    """Builds what is not up to date; gives the IDs of all entries of the jobs, and the first page of the site.

    seconds: time budget of the whole call, shared evenly among what is still to do; None: each spec's own. reuse: whether new
    searches take over evaluations of others. render: the last stage. A job that fails does not stop the others, nor the site;
    what failed is raised at the end. Entries that are up to date stay, even with `force`, where their data are out of reach.
    """
    with locked(places.zoo), locked(places.work):
        clear_leftovers(places.zoo)
        plans = plan(jobs, places.zoo)
        ids: list[str] = []
        todo = []
        for item in plans:
            reason = out_of_reach(item.job.dataset_name, item.job.dataset) if force and item.entry_ids else None
            if not item.entry_ids or (force and reason is None):
                todo.append(item.job)
                continue
            _check_files(places.zoo, item.entry_ids)
            ids.extend(item.entry_ids)
            kept = f"; kept as it is: {reason}" if reason else ""
            report.note(f"{item.job.place}: up to date, checksums of {len(item.entry_ids)} verified{kept}")
        errors: list[MicrozooError] = []
        for number, job in enumerate(todo):
            report.job(job.place, number + 1, len(todo))
            current = JobBuild(job, places, _share(job, seconds, len(todo) - number), report, reuse=reuse)
            try:
                ids.extend(current.run())
            except MicrozooError as error:
                errors.append(error)
                if number + 1 < len(todo):
                    report.note(f"{job.place}: failed: {error}")
            if seconds is not None:
                seconds = max(1.0, seconds - current.clock.elapsed)
        page = render() if ids or not errors else None
        if errors:
            raise errors[0] if len(errors) == 1 else MicrozooError("\n".join(str(error) for error in errors))
        assert page is not None
        return ids, page


def _share(job: Job, seconds: float | None, left: int) -> float | None:
    """Seconds for the next job: an even share of the command line's budget, else the spec's own."""
    if seconds is not None:
        return seconds / left
    return None if job.family.budget.minutes is None else job.family.budget.minutes * 60.0


def _check_files(zoo: Path, ids: Sequence[str]) -> None:
    problems = [problem for entry_id in ids for problem in damage(read_entry(zoo / entry_id))]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise CatalogError(problems[0] + more, "restore the file, or build again with --force")
