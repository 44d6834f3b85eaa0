"""`zoo search show`: where the searches of the specs stand, as plain data, and as a picture.

Specs and a work folder enter; a SearchState a job leaves. Histories are opened for reading only, so it works during a search.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from microzoo.build.job import limits_of
from microzoo.build.key import search_identity
from microzoo.build.reuse import TAKEN_OVER
from microzoo.build.scratch import history_path, write_atomically
from microzoo.build.zoo import overridden
from microzoo.errors import HistoryError
from microzoo.pages.picture import Held, picture
from microzoo.pages.rungs import Training as Shown
from microzoo.search.front import pareto_front
from microzoo.search.gate import Limits
from microzoo.search.history import count_evaluations, read_history
from microzoo.search.ladder import Ladder, Standing
from microzoo.search.types import Row
from microzoo.spec.load import Job, load_jobs, spec_files

DEFAULT_WORK = Path("build/work")


@dataclass(frozen=True)
class RungState:
    """One length of training, in epochs each. best_accuracy: on validation, of what fits, None before the first one.

    trainings: finished, failures among them. promotions: how many of them have finished at the next rung as well.
    error_ratio: expected error at the next rung / error at this one of the first generation, 1 while too few rose; None at the
    top. child_error_ratio: the same of its descendants.
    """

    rung: int
    epochs: float
    trainings: int
    failures: int
    promotions: int
    best_accuracy: float | None
    error_ratio: float | None
    child_error_ratio: float | None


@dataclass(frozen=True)
class FrontMember:
    """A candidate that no other beats in expected error, RAM, flash, MACs and instructions at once.

    ordinal: of its highest training.
    """

    ordinal: int
    origin: str
    rung: int
    validation_accuracy: float
    expected_error: float
    ram_bytes: int
    flash_bytes: int
    macs: int
    instructions: int
    sparsity: float


@dataclass(frozen=True)
class Candidate:
    """Something that fits and came through: what it is expected to reach at the top rung, and what it needs."""

    rung: int
    expected_error: float
    ram_bytes: int
    flash_bytes: int
    on_front: bool


@dataclass(frozen=True)
class Training:
    """One evaluation. spent_epochs: of the whole search up to and with it; failure: why it gave no accuracy."""

    ordinal: int
    origin: str
    rung: int
    spent_epochs: float
    validation_accuracy: float
    fits: bool
    failure: str | None


@dataclass(frozen=True)
class OtherHistory:
    """A history below the same job that belongs to another spec, seed or version."""

    path: str
    trainings: int


@dataclass(frozen=True)
class SearchState:
    """One job's search. problem: why there is nothing to show (damaged: the file cannot be read), else None.

    trainings_left_out: what the history holds beyond [search] evaluations, which a build does not look at.
    front: the most accurate first. best_accuracy: on validation, of what fits, at best_rung, the highest that gave one.
    """

    job: str
    history: str
    trainings_planned: int
    ram_limit_bytes: int
    flash_limit_bytes: int
    macs_limit: int | None
    instructions_limit: int | None
    problem: str | None = None
    damaged: bool = False
    about: str = ""
    trainings_done: int = 0
    trainings_left_out: int = 0
    misfits: int = 0
    failures: int = 0
    epochs_spent: float = 0.0
    best_accuracy: float | None = None
    best_rung: int | None = None
    rungs: tuple[RungState, ...] = ()
    front: tuple[FrontMember, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    trainings: tuple[Training, ...] = ()
    other_histories: tuple[OtherHistory, ...] = ()

    @property
    def found(self) -> bool:
        """Whether at least one training has finished."""
        return self.problem is None and self.trainings_done > 0


def survey(paths: Sequence[Path], work: Path, *, seed: int | None = None) -> list[SearchState]:
    """Every job of the specs, in their order. seed: in place of the specs' own, as given to the build."""
    files = {file.stem: file for file in spec_files(paths)}
    return [_job_state(job, files[job.family_name], work, seed) for job in overridden(load_jobs(paths), seed=seed)]


def as_json(states: Iterable[SearchState]) -> list[dict[str, Any]]:
    """Everything that is known, keys with their units."""
    return [asdict(state) for state in states]


def draw(states: Sequence[SearchState], to: Path) -> list[Path]:
    """Writes a picture of each search, and gives the files: `to` itself for one job, else `to` with the job's name in it.

    Which of the two depends on the jobs, not on how many have begun. Raises HistoryError where there is nothing to draw.
    """
    drawn = []
    for state in states:
        if state.found:
            file = to if len(states) == 1 else to.with_name(f"{to.stem}-{state.job.replace('/', '-')}{to.suffix}")
            write_atomically(file, picture_of(state).encode())
            drawn.append(file)
    if not drawn:
        why = next((f"{state.job}: {state.problem}" for state in states if state.problem), "wait for the first training")
        raise HistoryError(f"{to}: no search to draw", why)
    return drawn


def picture_of(state: SearchState) -> str:
    """The search as an SVG document."""
    assert state.found
    return picture(
        title=state.job,
        lines=[" · ".join(summary(state)), *([state.about] if state.about else [])],
        held=[
            Held(
                candidate.flash_bytes,
                candidate.ram_bytes,
                1 - candidate.expected_error,
                candidate.rung,
                candidate.on_front,
            )
            for candidate in state.candidates
        ],
        trainings=[
            Shown(item.spent_epochs, item.validation_accuracy, item.rung, item.origin) for item in state.trainings if item.fits
        ],
        rung_epochs={rung.rung: rung.epochs for rung in state.rungs},
    )


def summary(state: SearchState) -> list[str]:
    """How far it is, in a few words each."""
    parts = [
        f"{state.trainings_done:,} of {state.trainings_planned:,} trainings",
        f"{state.epochs_spent:,.6g} epochs",
        f"{state.failures} failed",
    ]
    if state.misfits:
        parts.append(f"{state.misfits} do not fit")
    if state.best_accuracy is not None:
        at = f" at rung {state.best_rung}" if len(state.rungs) > 1 else ""
        parts.append(f"best {state.best_accuracy:.2%} validation{at}")
    if state.trainings_left_out:
        parts.append(f"{state.trainings_left_out} more in the history, beyond [search] evaluations")
    return parts


def _job_state(job: Job, spec: Path, work: Path, seed: int | None) -> SearchState:
    limits = limits_of(job)
    path = history_path(work, job, search_identity(job))
    empty = SearchState(
        job=job.place,
        history=str(path),
        trainings_planned=job.family.search.evaluations,
        ram_limit_bytes=limits.ram_bytes,
        flash_limit_bytes=limits.flash_bytes,
        macs_limit=limits.macs,
        instructions_limit=limits.instructions,
        other_histories=_others(path),
    )
    if not path.is_file():
        options = ("" if work == DEFAULT_WORK else f" --work {work}") + ("" if seed is None else f" --seed {seed}")
        return replace(empty, problem=f"no search yet in {work}; zoo build {spec}{options} begins one")
    try:
        notes, rows = read_history(path)
    except HistoryError as error:
        return replace(empty, problem=str(error), damaged=True)
    planned = job.family.search.evaluations + int(notes.get(TAKEN_OVER, 0))
    return _filled(replace(empty, about=notes.get("about", ""), trainings_planned=planned), job, rows, limits)


def _filled(state: SearchState, job: Job, found: Sequence[Row], limits: Limits) -> SearchState:
    search = job.family.search
    rows = found[: state.trainings_planned]
    ladder = Ladder(search.rungs, search.reduction)
    for row in rows:
        ladder.add(row)
    trainings = _trainings(rows, limits)
    fitting = [standing for standing in ladder.standings(rows) if limits.fits(standing.row.evaluation.resources)]
    front = pareto_front(fitting)
    rungs = tuple(_rung(job, rung, trainings, rows, ladder) for rung in range(search.rungs))
    best = next((rung for rung in reversed(rungs) if rung.best_accuracy is not None), None)
    members = {standing.row.candidate.ordinal for standing in front}
    return replace(
        state,
        trainings_done=len(rows),
        trainings_left_out=len(found) - len(rows),
        misfits=sum(not training.fits for training in trainings),
        failures=sum(training.failure is not None for training in trainings),
        epochs_spent=trainings[-1].spent_epochs if trainings else 0.0,
        best_accuracy=best.best_accuracy if best else None,
        best_rung=best.rung if best else None,
        rungs=rungs,
        front=tuple(
            sorted(map(_member, front), key=lambda member: (-member.validation_accuracy, member.ram_bytes, member.ordinal))
        ),
        candidates=tuple(_candidate(standing, members) for standing in fitting),
        trainings=trainings,
    )


def _trainings(rows: Sequence[Row], limits: Limits) -> tuple[Training, ...]:
    spent, trainings = 0.0, []
    for row in rows:
        candidate, evaluation = row.candidate, row.evaluation
        spent += evaluation.epochs
        trainings.append(
            Training(
                ordinal=candidate.ordinal,
                origin=candidate.origin,
                rung=candidate.rung,
                spent_epochs=round(spent, 6),
                validation_accuracy=evaluation.validation_accuracy,
                fits=limits.fits(evaluation.resources),
                failure=evaluation.failure,
            )
        )
    return tuple(trainings)


def _rung(job: Job, rung: int, trainings: Sequence[Training], rows: Sequence[Row], ladder: Ladder) -> RungState:
    mine = [training for training in trainings if training.rung == rung]
    top = rung + 1 == ladder.rungs
    counted = [training.validation_accuracy for training in mine if training.fits and training.failure is None]
    return RungState(
        rung=rung,
        epochs=job.family.search.rung_epochs(rung),
        trainings=len(mine),
        failures=sum(training.failure is not None for training in mine),
        promotions=sum(row.candidate.rung == rung + 1 for row in rows),
        best_accuracy=max(counted, default=None),
        error_ratio=None if top else ladder.ratio(rung, child=False),
        child_error_ratio=None if top else ladder.ratio(rung, child=True),
    )


def _member(standing: Standing) -> FrontMember:
    candidate, evaluation = standing.row.candidate, standing.row.evaluation
    return FrontMember(
        ordinal=candidate.ordinal,
        origin=candidate.origin,
        rung=candidate.rung,
        validation_accuracy=evaluation.validation_accuracy,
        expected_error=standing.error,
        ram_bytes=evaluation.resources.ram_bytes,
        flash_bytes=evaluation.resources.flash_bytes,
        macs=evaluation.resources.macs,
        instructions=evaluation.resources.instructions,
        sparsity=candidate.sparsity,
    )


def _candidate(standing: Standing, front: set[int]) -> Candidate:
    resources = standing.row.evaluation.resources
    return Candidate(
        rung=standing.row.candidate.rung,
        expected_error=standing.error,
        ram_bytes=resources.ram_bytes,
        flash_bytes=resources.flash_bytes,
        on_front=standing.row.candidate.ordinal in front,
    )


def _others(current: Path) -> tuple[OtherHistory, ...]:
    """Histories beside the current one."""
    files = sorted(current.parent.parent.glob(f"*/{current.name}"))
    return tuple(OtherHistory(str(file), count_evaluations(file)) for file in files if file != current)
