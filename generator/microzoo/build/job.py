"""One dataset on one target: search, full trainings, selection, publishing. Killed anywhere and started again, it goes on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from microzoo.build.budget import Clock, FullTrainings, final_seconds
from microzoo.build.finals import Outcome, planned, train_finals, under_way
from microzoo.build.key import search_identity, training_identity
from microzoo.build.publish import Draft, Held, SearchFacts, build_record, draft
from microzoo.build.report import Report, SearchProgress
from microzoo.build.reuse import TAKEN_OVER, TRAINING, fitting, others, take_over
from microzoo.build.scratch import drop_old_weights, finals_folder, history_path, store_arrays, weights_folder
from microzoo.build.select import Finalist, best_reference, pick_finalists, pick_winners
from microzoo.build.training import Final, FinalTask, Trainer, worker_count
from microzoo.catalog.card import BuildRecord, Card
from microzoo.catalog.changes import continued
from microzoo.catalog.ratchet import kept_instead
from microzoo.catalog.store import read_entry, remove_others, write_entry
from microzoo.cost.front_end import front_end_bytes
from microzoo.cost.latency import WORST_ERROR
from microzoo.cost.predict import predict
from microzoo.data.load import load
from microzoo.errors import CatalogError, TargetInfeasibleError
from microzoo.search.executor import LocalExecutor
from microzoo.search.gate import Limits
from microzoo.search.history import History
from microzoo.search.ladder import Standing, standings
from microzoo.search.problem import Problem
from microzoo.search.run import search
from microzoo.search.types import Candidate, Evaluation, Row
from microzoo.sound.logmel import front_end_of
from microzoo.space.sampling import MICROZOO_SPACE, MUNAS_SPACE
from microzoo.spec.load import Job


@dataclass(frozen=True)
class Places:
    """Where a build writes: the zoo, its history and scratch, and the device that it trains on."""

    zoo: Path
    work: Path
    device: str


def limits_of(job: Job) -> Limits:
    """What a network may need on this target, as predicted: so few instructions that the emulated ones are within the limit, and
    of memory what the front end of sound leaves.
    """
    target, most = job.target, job.target.instructions_limit
    predicted = None if most is None else max(1, int(most / (1 + WORST_ERROR)))
    ram_bytes, flash_bytes = target.ram_limit_bytes, target.flash_limit_bytes
    if (front_end := front_end_of(job.dataset)) is not None:
        needs = front_end_bytes(front_end, target.core)
        ram_bytes, flash_bytes = max(1, ram_bytes - needs.ram_bytes), max(1, flash_bytes - needs.flash_bytes)
    return Limits(ram_bytes, flash_bytes, target.budget.macs, predicted)


def problem_of(job: Job) -> Problem:
    """The search problem of a job."""
    family, search = job.family, job.family.search
    max_sparsity = family.prune.max_sparsity if family.prune.enabled else 0.0
    return Problem(
        input_shape=job.dataset.input_shape,
        classes=len(job.dataset.classes),
        runtime=job.target.runtime,
        core=job.target.core,
        limits=limits_of(job),
        rules=MICROZOO_SPACE if search.space == "microzoo" else MUNAS_SPACE,
        seed=family.seed,
        population=search.population,
        tournament=search.tournament,
        parallel=search.parallel,
        references=search.references,
        reference_widths=search.reference_widths,
        random_parents=search.random_parents,
        max_sparsity=max_sparsity,
        initial_sparsity=max_sparsity * (0.5 if search.strategy == "microzoo" else 1.0),
        slack=search.slack,
        evolve=search.strategy != "random",
        unique=search.strategy != "munas",
        error_bound=search.error_bound,
        rungs=search.rungs,
        reduction=search.reduction,
    )


class JobBuild:
    """One job in progress."""

    def __init__(self, job: Job, places: Places, seconds: float | None, report: Report, *, reuse: bool = False) -> None:
        """seconds: the time budget, None for none. reuse: whether a new search takes over evaluations of others."""
        self.job, self.places, self.report, self.reuse = job, places, report, reuse
        self.clock = Clock(seconds)
        self.taken_over = 0
        self.exhausted = False
        self.identity = search_identity(job)
        self.workers = worker_count(job.family.search.parallel, places.device)
        self.arrays = history_path(places.work, job, self.identity).parent / "arrays"
        self.kept = weights_folder(places.work, job, self.identity) if job.family.search.inherit else None
        self.trainer = Trainer(job, self.arrays, places.device, self.kept)

    def run(self) -> list[str]:
        """Everything; gives the IDs of the entries. Raises MicrozooError where there is nothing to publish."""
        dataset = load(self.job.dataset_name, self.job.dataset)
        store_arrays(self.arrays, dataset)
        assert dataset.raw_validation is not None
        held = Held(dataset.test, dataset.raw_validation, dataset.validation.y, len(dataset.train), dataset.validation_sound)
        del dataset  # training and validation split are in the worker processes from here on
        rows = self._search()
        searched = self.clock.elapsed
        candidates = self._finish(rows)
        drafts = self._drafts(candidates, rows, held)
        record = build_record(
            seconds=self.clock.elapsed,
            search_seconds=searched,
            training_seconds=sum(row.evaluation.seconds for row in rows),
            device=self.places.device,
            ended_by=self._ended_by(rows, candidates[0].epochs),
        )
        return self._publish(drafts, record)

    def _ended_by(self, rows: Sequence[Row], epochs: float) -> Literal["evaluations", "time budget", "space exhausted"]:
        """What ended the search, or cut the full trainings."""
        if epochs < self.job.family.train.epochs:
            return "time budget"
        if self.exhausted:
            return "space exhausted"
        return "evaluations" if len(rows) >= self.evaluations else "time budget"

    def _publish(self, drafts: list[Draft], record: BuildRecord) -> list[str]:
        """Writes the entries, unless those in the zoo are better; gives the IDs of what is in the zoo then."""
        ids = [item.card.id for item in drafts]
        if (better := kept_instead(self.places.zoo, [item.card for item in drafts])) is not None:
            old, new = better.validation_int8.mean, drafts[0].card.validation_int8.mean
            self.report.note(f"  kept {better.id}: {old:.2%} int8 validation accuracy, the new one has {new:.2%}")
            return ids
        for item in drafts:
            write_entry(self.places.zoo, item.card, self._continued(item.card, record), item.files)
            self.report.published(item.card.id, _summary(item))
        for gone in remove_others(self.places.zoo, self.job.place, drafts[0].card.siblings):
            self.report.note(f"{gone}: removed, the spec no longer gives it")
        return ids

    def _continued(self, card: Card, record: BuildRecord) -> BuildRecord:
        """`record` with the changelog of what lies in the entry's place; without one, and a note, where that cannot be read."""
        place = self.places.zoo / card.id
        try:
            before = read_entry(place) if place.is_dir() else None
        except CatalogError as error:
            self.report.note(f"  {error.problem}: replaced, and when it was first published is lost")
            return record
        return continued(before, card, record)

    def _search(self) -> list[Row]:
        family = self.job.family
        started, spent = time.monotonic(), 0.0

        def progress(rows: list[Row]) -> None:
            nonlocal spent
            spent += rows[-1].evaluation.epochs
            rate = spent / max(1e-9, time.monotonic() - started)
            self.report.searching(SearchProgress(rows, self.evaluations, self.clock.left, rate))
            if self.kept is not None:
                drop_old_weights(self.kept, len(rows), keep=family.search.population + 2 * family.search.parallel)

        def over(rows: list[Row]) -> bool:
            return self.clock.search_is_over(rows, self._final_seconds)

        with History(history_path(self.places.work, self.job, self.identity), self.identity, self._notes()) as history:
            known = history.rows()
            if known:
                self.report.note(f"{self.job.place}: going on after {len(known)} evaluations of an earlier run")
            else:
                known = self._taken_over(history)
            self.taken_over = int(history.note(TAKEN_OVER) or 0)
            known = known[: self.evaluations]
            if len(known) >= self.evaluations or over(known):
                return known
            executor: LocalExecutor[Candidate, Evaluation]
            threads = self.places.device != "cpu"
            with LocalExecutor(self.trainer.evaluate, self.workers, threads=threads, on_death=self._died) as executor:
                rows = search(
                    problem_of(self.job), history, executor, evaluations=self.evaluations, on_row=progress, should_stop=over
                )
        self.exhausted = len(rows) < self.evaluations and not over(rows)
        return rows

    @property
    def evaluations(self) -> int:
        """Rows of a finished search: those that the spec asks for, on top of what was taken over."""
        return self.job.family.search.evaluations + self.taken_over

    def _notes(self) -> dict[str, str]:
        family, search = self.job.family, self.job.family.search
        about = f"{self.job.place}, strategy {search.strategy}, space {search.space}, seed {family.seed}"
        return {"about": about, TRAINING: training_identity(self.job)}

    def _taken_over(self, history: History) -> list[Row]:
        """What a search that begins anew takes over from others, if it may."""
        sources = others(self.places.work, self.job, history.path)
        taken = fitting(sources, limits_of(self.job))
        if not taken:
            return []
        if not self.reuse:
            self.report.note(
                f"{self.job.place}: {len(taken)} evaluations of other searches fit this target; --reuse begins with them"
            )
            return []
        take_over(taken, history, self.kept)
        self.report.note(f"{self.job.place}: {len(taken)} evaluations taken over from {len(sources)} other searches")
        return history.rows()

    def _died(self, candidate: Candidate) -> Evaluation:
        """The evaluation of a candidate whose worker died twice: what kills it is nearly always its need for memory."""
        resources = problem_of(self.job).resources(candidate.architecture)
        assert resources is not None, "it passed the gate"
        return Evaluation(0.0, resources, 0.0, 0.0, "worker died")

    def _chosen(self, rows: Sequence[Row]) -> list[Standing]:
        search, select = self.job.family.search, self.job.family.select
        searched = standings(rows, search.rungs, search.reduction)
        return pick_finalists(searched, select.finalists, select.winners, limits_of(self.job))

    def _final_seconds(self, rows: Sequence[Row], seeds: int | None = None) -> float:
        """seeds: of each finalist; None takes those of the spec."""
        train = self.job.family.train
        chosen = [standing.row for standing in self._chosen(rows)]
        return final_seconds(chosen, seeds or train.seeds, train.epochs, self.workers, self.job.family.quantise.finetune)

    def _finish(self, rows: Sequence[Row]) -> list[Finalist]:
        """Trains the finalists in full, all seeds; what an earlier run finished is read from disk."""
        train = self.job.family.train
        chosen = [standing.row for standing in self._chosen(rows)]
        if not chosen:
            raise self._without_finalists(rows)
        folder = finals_folder(self.places.work, self.job, self.identity)
        wanted = FullTrainings(train.seeds, train.epochs)
        affordable = self.clock.full_trainings(wanted, lambda seeds: self._final_seconds(rows, seeds))
        plan = planned(
            folder,
            [row.candidate.ordinal for row in chosen],
            wanted,
            affordable,
            lambda before: under_way(self.trainer, folder, _tasks(chosen, before)),
        )
        if plan != wanted:
            self.report.note(
                f"{self.job.place}: the time budget leaves {plan.epochs:.1f} of {train.epochs:g} epochs a full training, "
                f"{plan.seeds} of {train.seeds} seeds"
            )
        tasks = _tasks(chosen, plan)
        estimated = self._final_seconds(rows, plan.seeds) * plan.epochs / train.epochs
        results = train_finals(self.trainer, tasks, folder, self.workers, self.report, estimated_seconds=estimated)
        return self._finalists(chosen, tasks, results)

    def _without_finalists(self, rows: Sequence[Row]) -> TargetInfeasibleError:
        failures = sorted({row.evaluation.failure for row in rows if row.evaluation.failure is not None})
        trained = [row for row in rows if row.evaluation.failure is None]
        if not trained:
            return TargetInfeasibleError(
                f"{self.job.place}: none of {len(rows)} candidates could be trained ({', '.join(failures)})",
                "lower train.learning_rate, or look at the data",
            )
        limits = limits_of(self.job)
        search = self.job.family.search
        known = [standing.row.evaluation.resources for standing in standings(rows, search.rungs, search.reduction)]
        nearest = min(known, key=limits.violation)
        return TargetInfeasibleError(
            f"{self.job.place}: none of {len(known)} trained candidates fits; the nearest one needs {limits.describe(nearest)}",
            "raise search.evaluations, or lower search.slack to 1, so that only what fits is trained",
        )

    def _finalists(
        self, chosen: Sequence[Row], tasks: Sequence[FinalTask], results: Mapping[FinalTask, Outcome]
    ) -> list[Finalist]:
        """Those of which at least one seed came through."""
        found = []
        for row in chosen:
            mine = [(task.seed, results[task]) for task in tasks if task.ordinal == row.candidate.ordinal]
            finals = {seed: outcome for seed, outcome in mine if isinstance(outcome, Final)}
            failures = tuple(f"seed {seed}: {outcome}" for seed, outcome in mine if isinstance(outcome, str))
            if finals:
                best = max(finals.values(), key=lambda final: final.validation_int8)
                _, resources = predict(best.model.graph, self.job.target.runtime, self.job.target.core)
                found.append(Finalist(row.candidate, tasks[0].epochs, finals, failures, resources))
        if not found:
            raise TargetInfeasibleError(
                f"{self.job.place}: no finalist came through full training and quantisation", "see the lines above"
            )
        return found

    def _drafts(self, candidates: list[Finalist], rows: Sequence[Row], held: Held) -> list[Draft]:
        """Measures the winners; one that does not fit is left out, and the next best takes its place."""
        about = SearchFacts(self.taken_over, best_reference(candidates))
        remaining, missed = list(candidates), list[str]()
        measured: dict[int, Draft] = {}
        while remaining:
            winners = pick_winners(remaining, self.job.family.select.winners, limits_of(self.job))
            siblings = tuple(name for name, _ in winners)
            drafts: list[Draft] = []
            for name, finalist in winners:
                ordinal = finalist.candidate.ordinal
                if ordinal not in measured:
                    self.report.measuring(f"{self.job.place}/{name}")
                    measured[ordinal] = draft(self.job, finalist, rows, held, about=about)
                item = measured[ordinal].named(f"{self.job.place}/{name}", siblings)
                if item.misses:
                    missed.append(f"candidate {ordinal}: {'; '.join(item.misses)}")
                    self.report.note(f"{self.job.place}: not published: {missed[-1]}")
                    remaining = [other for other in remaining if other is not finalist]
                    break
                drafts.append(item)
            else:
                return drafts
        problem = f"{self.job.place}: no finalist fits as measured: {' | '.join(missed)}"
        raise TargetInfeasibleError(problem, "raise the budget of the target")


def _summary(item: Draft) -> str:
    card = item.card
    needs = ", ".join(f"{limit.name} {limit.need:,.0f}/{limit.have:,.0f} {limit.unit}" for limit in card.limits)
    return f"{card.headline.value:.2%} int8 test accuracy ({card.headline.correct}/{card.headline.n}); {needs}"


def _tasks(chosen: Sequence[Row], plan: FullTrainings) -> list[FinalTask]:
    """Every finalist with every seed."""
    return [
        FinalTask(row.candidate.ordinal, row.candidate.architecture, row.candidate.sparsity, seed, plan.epochs)
        for row in chosen
        for seed in range(plan.seeds)
    ]
