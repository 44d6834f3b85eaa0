from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from microzoo.build.budget import Clock, FullTrainings, final_seconds, seconds_per_epoch
from microzoo.build.key import job_key, search_identity
from microzoo.duration import parse_duration, show_duration
from microzoo.spec.load import Job, load_jobs

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def job() -> Job:
    return load_jobs([ROOT / "specs/demo.toml"])[0]


def changed(job: Job, **sections: dict[str, object]) -> Job:
    family = job.family
    for name, update in sections.items():
        section = getattr(family, name)
        family = family.model_copy(update={name: section.model_copy(update=update)})
    return replace(job, family=family)


def test_key_follows_what_decides_an_entry(job: Job) -> None:
    key = job_key(job)
    assert job_key(changed(job, budget={"minutes": 3.0})) == key
    assert job_key(replace(job, target=job.target.model_copy(update={"title": "x", "boards": ("y",)}))) == key
    assert job_key(replace(job, dataset=job.dataset.model_copy(update={"citation": "x"}))) == key
    kept = job.dataset.licence.model_copy(update={"redistributable": not job.dataset.licence.redistributable})
    for other in (
        replace(job, dataset=job.dataset.model_copy(update={"licence": kept})),
        changed(job, search={"evaluations": 81}),
        changed(job, train={"epochs": 3.0}),
        changed(job, select={"winners": 2}),
        changed(job, quantise={"calibration_samples": 9}),
        replace(job, family=job.family.model_copy(update={"seed": 1})),
        replace(job, target=job.target.model_copy(update={"runtime": "tflm"})),
    ):
        assert job_key(other) != key


def test_a_longer_search_or_other_finals_keep_the_history(job: Job) -> None:
    identity = search_identity(job)
    for same in (
        changed(job, search={"evaluations": 81}),
        changed(job, train={"epochs": 3.0, "seeds": 5}),
        changed(job, select={"winners": 2, "finalists": 9}),
    ):
        assert search_identity(same) == identity
    for other in (
        changed(job, search={"parallel": 5}),
        changed(job, search={"epochs": 4.0}),
        changed(job, train={"learning_rate": 0.01}),
        changed(job, prune={"enabled": False}),
    ):
        assert search_identity(other) != identity


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("20m", 1200), ("1h30m", 5400), ("1.5h", 5400), ("1h1m1s", 3661)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "20", "m", "20m1h", "0s", "-5m", "20 minutes"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="write for instance"):
        parse_duration(text)


@pytest.mark.parametrize(("seconds", "text"), [(45, "45 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")])
def test_durations_for_people(seconds: float, text: str) -> None:
    assert show_duration(seconds) == text


def test_budget_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """1000 s in all; full trainings of 200 s: 230 s with slack, and 80 s for measuring, so the search ends at 690 s."""
    now = 0.0
    monkeypatch.setattr("microzoo.build.budget.time.monotonic", lambda: now)
    clock = Clock(1000.0)
    rows = [object()]
    now = 689.0
    assert not clock.search_is_over(rows, lambda _: 200.0)  # type: ignore[arg-type]
    now = 691.0
    assert clock.search_is_over(rows, lambda _: 200.0)  # type: ignore[arg-type]
    wanted = FullTrainings(5, 20.0)
    assert clock.full_trainings(wanted, lambda seeds: 39.8 * seeds) == wanted
    # 309 s left, 80 kept: 229 / 1.15 = 199.1 s. Five seeds of 70 s would have 0.57 of their epochs, which is half and more.
    found = clock.full_trainings(wanted, lambda seeds: 70.0 * seeds)
    assert (found.seeds, found.epochs) == (5, pytest.approx(20.0 * (229.0 / 1.15) / 350.0))
    # Of 100 s each: five would have 0.40, four 0.498, three 0.66. Of 300 s each: two would have 0.33, and there are always two.
    found = clock.full_trainings(wanted, lambda seeds: 100.0 * seeds)
    assert (found.seeds, found.epochs) == (3, pytest.approx(20.0 * (229.0 / 1.15) / 300.0))
    found = clock.full_trainings(wanted, lambda seeds: 300.0 * seeds)
    assert (found.seeds, found.epochs) == (2, pytest.approx(20.0 * (229.0 / 1.15) / 600.0))
    assert clock.full_trainings(FullTrainings(1, 20.0), lambda _: 400.0).seeds == 1
    now = 2000.0
    assert clock.full_trainings(wanted, lambda seeds: 80.0 * seeds) == FullTrainings(2, 1.0)
    assert Clock(None).full_trainings(wanted, lambda _: 1e9) == wanted
    assert not Clock(None).search_is_over(rows, lambda _: 1e9)  # type: ignore[arg-type]


def test_final_seconds_by_hand() -> None:
    """Two finalists of 2 s an epoch, three seeds, ten epochs, four workers: six trainings of 20 s in two rounds."""
    from microzoo.cost.resources import Resources
    from microzoo.search.types import Candidate, Evaluation, Row

    rows = [
        Row(
            Candidate(i, "{}", str(i), 0.0, None, "random"),
            Evaluation(0.5 + i / 10, Resources(1, 1, 9 + i, 1, 1, 1, 1, 1), 0.5, 1.0),
        )
        for i in range(2)
    ]
    assert seconds_per_epoch(rows[0]) == 2.0
    assert final_seconds(rows, 3, 10.0, 4) == pytest.approx(40.0)
    assert final_seconds([], 3, 10.0, 4) == 0.0
    # One more epoch each of fine-tuning, which takes one and a half times as long.
    assert final_seconds(rows, 3, 10.0, 4, finetune=0.1) == pytest.approx(46.0)
