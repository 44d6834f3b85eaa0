"""What the benchmarks of the search share: a fixed subset of a dataset, a small target, searches with real trainings.

Histories stay in build/benchmarks, so that a benchmark that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import microzoo
from microzoo.build.job import limits_of, problem_of
from microzoo.build.key import digest, search_identity
from microzoo.build.scratch import store_arrays
from microzoo.build.training import FinalTask, Trainer, worker_count
from microzoo.data.arrays import Dataset, Part
from microzoo.data.load import load
from microzoo.search.executor import LocalExecutor
from microzoo.search.gate import Limits
from microzoo.search.history import History
from microzoo.search.run import search
from microzoo.search.types import Candidate, Evaluation, Row
from microzoo.spec.dataset import DatasetSpec
from microzoo.spec.load import Job, load_folder
from microzoo.spec.models import FamilySpec, TargetBudget, TargetSpec

ROOT = Path(__file__).parents[1]
WORK = ROOT / "build" / "benchmarks"
RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- results -->", "<!-- end of results -->"


@dataclass(frozen=True)
class Lab:
    """One dataset's subset on one target. folder: where arrays and histories lie."""

    dataset: str
    target: TargetSpec
    folder: Path

    @property
    def limits(self) -> Limits:
        """Of the target."""
        return limits_of(self.job())

    def job(self, **tables: Any) -> Job:
        """A job with these tables (`search`, `prune`, `train`) and this `seed`, as in a spec."""
        family = FamilySpec.model_validate({"dataset": self.dataset, "targets": ("benchmark",), **tables})
        dataset = load_folder(ROOT / "specs" / "datasets", DatasetSpec)[self.dataset]
        return Job("benchmark", family, self.dataset, dataset, "benchmark", self.target)

    def trainer(self, job: Job, kept: Path | None = None) -> Trainer:
        """Trains candidates of `job` on the subset, on the CPU. kept: where weights lie for children, where the job inherits."""
        return Trainer(job, self.folder / "arrays", "cpu", kept if job.family.search.inherit else None)

    def search(self, name: str, job: Job, *, epochs: float, on_row: Callable[[list[Row]], None]) -> list[Row]:
        """Rows of a search that ends once its trainings took `epochs` passes over the subset."""
        identity = digest({"search": search_identity(job), "arrays": str(self.folder.name)})
        path = self.folder / f"{name}-{identity[:16]}.sqlite"
        problem = problem_of(job)

        def spent(rows: Sequence[Row]) -> bool:
            return sum(row.evaluation.epochs for row in rows) >= epochs

        def died(candidate: Candidate) -> Evaluation:
            resources = problem.resources(candidate.architecture)
            assert resources is not None, "it passed the gate"
            return Evaluation(0.0, resources, 0.0, 0.0, "worker died")

        with History(path, identity) as history:
            rows = history.rows()
            if spent(rows):
                return rows
            executor: LocalExecutor[Candidate, Evaluation]
            workers = worker_count(problem.parallel, "cpu")
            with LocalExecutor(self.trainer(job, path.with_suffix("")).evaluate, workers, on_death=died) as executor:
                return search(problem, history, executor, evaluations=10**6, on_row=on_row, should_stop=spent)

    def validation_float(self, job: Job, tasks: Sequence[FinalTask]) -> dict[FinalTask, float]:
        """Float validation accuracy of full trainings; 0 where one failed."""
        executor: LocalExecutor[FinalTask, Evaluation]
        with LocalExecutor(_Full(self.trainer(job)), worker_count(2, "cpu")) as executor:
            for task in tasks:
                executor.submit(task)
            return {task: result.validation_accuracy for task, result in (executor.next() for _ in tasks)}


@dataclass(frozen=True)
class _Full:
    """A full training without quantisation, as a candidate's evaluation."""

    trainer: Trainer

    def __call__(self, task: FinalTask) -> Evaluation:
        return self.trainer.evaluate_in_full(task)


def lab(name: str, dataset: str, target: TargetSpec, *, train: int, validation: int) -> Lab:
    """A lab whose arrays are a fixed subset: the first `train` and `validation` inputs of a seeded permutation of the split."""
    folder = WORK / f"{name}-{train}-{validation}"
    made = Lab(dataset, target, folder)
    if not (folder / "arrays").is_dir():
        whole = load(dataset, made.job().dataset)
        store_arrays(folder / "arrays", Dataset(_some(whole.train, train), _some(whole.validation, validation), whole.test))
    return made


def small_target(ram_bytes: int, flash_bytes: int, macs: int) -> TargetSpec:
    """A Cortex-M4 with these budgets, all for the model."""
    budget = TargetBudget(ram_bytes=ram_bytes, flash_bytes=flash_bytes, macs=macs)
    return TargetSpec(title="benchmark", core="cortex-m4", clock_mhz=80.0, budget=budget)


def write_results(path: Path, value: Any) -> None:
    """JSON that is committed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, separators=(",", ":")) + "\n", encoding="utf-8")


def into_page(name: str, lines: Sequence[str]) -> None:
    """Puts `lines` between the marks of site/pages/develop/NAME.md; everything else of the page is written by people."""
    path = ROOT / "site" / "pages" / "develop" / f"{name}.md"
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, found, after = rest.partition(END)
    assert found, f"{path} lacks {BEGIN} and {END}"
    path.write_text("\n".join([before + BEGIN, *lines, END + after]), encoding="utf-8")


def setting() -> str:
    """Machine and versions, for the head of a table."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    processor = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, microzoo {microzoo.__version__}"
    return f"{platform.system()} {platform.machine()}, {processor}; {versions}"


def _some(part: Part, count: int) -> Part:
    chosen = np.sort(np.random.default_rng(0).permutation(len(part))[:count])
    return Part(part.x[chosen], part.y[chosen])
