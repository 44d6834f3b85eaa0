"""Children that start from their parent's weights: what is kept, what is dropped, what a missing file means."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from microzoo.build.job import problem_of
from microzoo.build.scratch import drop_old_weights, kept_weights, store_arrays
from microzoo.build.training import Trainer
from microzoo.data.load import load
from microzoo.errors import TrainingError
from microzoo.graph.serialise import dump_float_model, parse_float_model
from microzoo.search.executor import LocalExecutor
from microzoo.search.history import History
from microzoo.search.run import search
from microzoo.search.types import Candidate, Evaluation, Row
from microzoo.spec.load import Job, load_jobs

ROOT = Path(__file__).parents[2]
SPEC = """
dataset = "digits"
targets = ["cortex-m0plus-8k"]
[search]
epochs = 1
parallel = 2
population = 3
tournament = 2
random_parents = 1
reference_widths = [1.0]
inherit = true
"""


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("inherit")
    for part in ("targets", "datasets"):
        shutil.copytree(ROOT / "specs" / part, folder / "specs" / part)
    (folder / "specs" / "small.toml").write_text(SPEC, encoding="utf-8")
    (job,) = load_jobs([folder / "specs"])
    store_arrays(folder / "arrays", load(job.dataset_name, job.dataset))
    return replace(job, family_name=str(folder))


def go(job: Job, kept: Path | None, history: Path, evaluations: int) -> list[Row]:
    trainer = Trainer(job, Path(job.family_name) / "arrays", "cpu", kept)
    executor: LocalExecutor[Candidate, Evaluation]
    with History(history, "identity") as opened, LocalExecutor(trainer.evaluate, 2) as executor:
        return search(
            problem_of(job),
            opened,
            executor,
            evaluations=evaluations,
            on_row=lambda rows: drop_old_weights(kept, len(rows), keep=7) if kept else None,
            should_stop=lambda _: False,
        )


def digest(path: Path) -> str:
    with History(path, "identity") as history:
        return history.digest()


def test_a_search_that_inherits_resumes_to_the_same_history_and_differs_from_one_that_does_not(job: Job, tmp_path: Path) -> None:
    whole = go(job, tmp_path / "a", tmp_path / "whole", 14)
    go(job, tmp_path / "b", tmp_path / "parts", 9)
    go(job, tmp_path / "b", tmp_path / "parts", 14)
    assert digest(tmp_path / "parts") == digest(tmp_path / "whole")
    anew = go(job, None, tmp_path / "anew", 14)
    first = next(index for index, row in enumerate(whole) if row.candidate.parent is not None and row.candidate.rung == 0)
    assert anew[:first] == [
        replace(row, evaluation=replace(row.evaluation, seconds=other.evaluation.seconds))
        for row, other in zip(whole[:first], anew, strict=False)
    ]
    assert anew[first].candidate == whole[first].candidate
    assert anew[first].evaluation.validation_accuracy != whole[first].evaluation.validation_accuracy
    kept = sorted(int(path.stem) for path in (tmp_path / "a").glob("*.npz"))
    assert kept == list(range(7, 14)), "the newest that may still be parents, and no more"


def test_a_parent_without_weights_is_an_error_that_names_the_file(job: Job, tmp_path: Path) -> None:
    trainer = Trainer(job, Path(job.family_name) / "arrays", "cpu", tmp_path)
    rows = go(job, tmp_path, tmp_path / "history", 9)
    child = replace(rows[0].candidate, ordinal=9, parent=8)
    kept_weights(tmp_path, 8).write_bytes(b"PK\3\4 cut off")
    with pytest.raises(TrainingError, match=r"8\.npz: the weights of a parent are missing or damaged.*delete the history"):
        trainer.evaluate(child)


def test_float_models_come_back_to_the_bit(job: Job, tmp_path: Path) -> None:
    go(job, tmp_path, tmp_path / "history", 3)
    content = kept_weights(tmp_path, 2).read_bytes()
    graph, weights = parse_float_model(content)
    assert dump_float_model(graph, weights) == content
    assert any(layer.batch_norm is not None for layer in weights.values())
    assert all(np.isfinite(layer.weight).all() for layer in weights.values())
