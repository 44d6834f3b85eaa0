"""What a new search takes over from others, and what it must not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from microzoo.build.key import search_identity, training_identity
from microzoo.build.reuse import TAKEN_OVER, TRAINING, fitting, others, take_over
from microzoo.build.scratch import history_path, kept_weights
from microzoo.cost.resources import Resources
from microzoo.search.gate import Limits
from microzoo.search.history import History
from microzoo.search.ladder import Ladder
from microzoo.search.types import Candidate, Evaluation, Row
from microzoo.spec.load import Job, load_jobs

ROOT = Path(__file__).parents[2]
LIMITS = Limits(100, 100, 100)


def row(ordinal: int, need: int, *, name: str = "", parent: int | None = None, below: int | None = None) -> Row:
    candidate = Candidate(ordinal, "{}", name or str(ordinal), 0.0, parent, "random", 0 if below is None else 1, below)
    return Row(candidate, Evaluation(0.5, Resources(*[need] * 8), 1.0, 1.0))


def test_what_fits_is_taken_over_with_its_own_past_and_no_other() -> None:
    first = [row(0, 50), row(1, 500), row(2, 60, parent=1), row(3, 70, parent=0), row(4, 40, name="0", below=0)]
    first.append(row(5, 90, name="1", below=1))  # it was pruned until it fits, but its first training did not
    second = [row(0, 80, name="3"), row(1, 90, name="new", parent=0)]
    taken = [new.candidate for _, _, new in fitting([(Path("a"), first), (Path("b"), second)], LIMITS)]
    assert [(c.ordinal, c.canonical, c.rung, c.parent, c.promoted_from) for c in taken] == [
        (0, "0", 0, None, None),
        (1, "2", 0, None, None),
        (2, "3", 0, 0, None),
        (3, "0", 1, None, 0),
        (4, "new", 0, None, None),
    ]
    ladder = Ladder(2, 3)
    for _, _, new in fitting([(Path("a"), first), (Path("b"), second)], LIMITS):
        ladder.add(new)


@pytest.fixture
def jobs() -> tuple[Job, Job]:
    """Digits on the smaller and on the larger part of the demo."""
    small, large = load_jobs([ROOT / "specs" / "demo.toml"])
    return small, large


def test_failures_are_not_taken_over_and_hide_no_success() -> None:
    failed = row(0, 50, name="same")
    failed = replace(failed, evaluation=replace(failed.evaluation, failure="out of memory"))
    taken = fitting([(Path("a"), [failed]), (Path("b"), [row(0, 50, name="same")])], LIMITS)
    assert [path for path, _, _ in taken] == [Path("b")]


def test_a_child_without_its_parent_still_counts_as_a_child() -> None:
    orphan = row(1, 50, parent=0)
    orphan = replace(orphan, candidate=replace(orphan.candidate, origin="widen"))
    ((_, _, taken),) = fitting([(Path("a"), [row(0, 500), orphan])], LIMITS)
    assert taken.candidate.parent is None
    assert taken.candidate.is_child


def test_only_histories_of_the_same_trainings_count(tmp_path: Path, jobs: tuple[Job, Job]) -> None:
    small, large = jobs
    assert training_identity(small) != "", "a digest"
    same_core = replace(small, target=small.target.model_copy(update={"core": large.target.core}))
    assert training_identity(same_core) == training_identity(large), "limits do not matter"
    for other in ({"space": "munas"}, {"strategy": "random"}):
        elsewhere = large.family.model_copy(update={"search": large.family.search.model_copy(update=other)})
        assert training_identity(replace(large, family=elsewhere)) != training_identity(large), other
    longer = large.family.model_copy(update={"search": large.family.search.model_copy(update={"epochs": 9.0})})
    assert training_identity(replace(large, family=longer)) != training_identity(large)
    seeded = replace(large, family=large.family.model_copy(update={"seed": 7}))
    assert training_identity(seeded) == training_identity(large), "any seed is a valid training"
    own = history_path(tmp_path, large, search_identity(large))
    for job, training in ((seeded, training_identity(seeded)), (same_core, "other")):
        with History(history_path(tmp_path, job, search_identity(job)), search_identity(job), {TRAINING: training}) as history:
            history.append(row(0, 50))
    with History(own, search_identity(large), {TRAINING: training_identity(large)}) as history:
        history.append(row(0, 60))
    (tmp_path / large.dataset_name / "broken" / "x").mkdir(parents=True)
    (tmp_path / large.dataset_name / "broken" / "x" / "history.sqlite").write_bytes(b"garbage")
    found = others(tmp_path, large, own)
    assert [path for path, _ in found] == [history_path(tmp_path, seeded, search_identity(seeded))]
    assert [len(rows) for _, rows in found] == [1]


def test_weights_come_along_where_they_are_left(tmp_path: Path) -> None:
    source = tmp_path / "old" / "history.sqlite"
    kept_weights(tmp_path / "old" / "weights", 2).parent.mkdir(parents=True)
    kept_weights(tmp_path / "old" / "weights", 2).write_bytes(b"weights of 2")
    taken = fitting([(source, [row(0, 50), row(1, 500), row(2, 60)])], LIMITS)
    with History(tmp_path / "new" / "history.sqlite", "identity") as history:
        take_over(taken, history, tmp_path / "new" / "weights")
        assert history.note(TAKEN_OVER) == "2"
        assert [found.candidate.canonical for found in history.rows()] == ["0", "2"]
    assert kept_weights(tmp_path / "new" / "weights", 0).read_bytes() == b""
    assert kept_weights(tmp_path / "new" / "weights", 1).read_bytes() == b"weights of 2"


def test_a_build_for_another_budget_goes_on_from_what_is_there(workshop) -> None:
    """The tighter target takes over what fits, trains only the rest, and says so in the card."""
    spec = workshop.folder / "specs" / "targets" / "cortex-m0plus-8k.toml"
    text = """
dataset = "digits"
targets = ["cortex-m0plus-8k"]
[search]
evaluations = 8
epochs = 1
rungs = 1
random_parents = 2
reference_widths = [1.0]
parallel = 2
[train]
epochs = 1
seeds = 1
[select]
finalists = 1
"""
    workshop.spec(text)
    workshop.zoo("build", "specs/demo.toml")
    before = spec.read_text(encoding="utf-8")
    tighter = before.replace("latency_ms = 100", "latency_ms = 80")
    assert tighter != before
    spec.write_text(tighter, encoding="utf-8")
    done = workshop.zoo("build", "specs/demo.toml", "--out", "other", "--reuse", "--json")
    assert "evaluations taken over from 1 other searches" in done.stderr
    shown = workshop.zoo("show", "digits/cortex-m0plus-8k/accurate", "--out", "other", "--json")
    search = json.loads(shown.stdout)["search"]
    assert 0 < search["taken_over"] < 8
    assert search["evaluations"] == 8 + search["taken_over"], "the search's own evaluations come on top"
