"""A search that is made shorter, ends for lack of candidates, or is only counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from microzoo.search.executor import LocalExecutor
from microzoo.search.gate import Limits
from microzoo.search.history import History, count_evaluations
from microzoo.search.run import search
from microzoo.search.types import Row

from .test_search import PROBLEM, fake_evaluation, run


def test_a_shorter_search_ignores_what_a_longer_one_left(tmp_path: Path) -> None:
    long = run(tmp_path / "history", 30)
    assert run(tmp_path / "history", 20) == long[:20] == run(tmp_path / "fresh", 20)
    assert count_evaluations(tmp_path / "history") == 30


def test_a_space_with_few_candidates_ends_with_what_there_is(tmp_path: Path, monkeypatch) -> None:
    """So little flash that only the smallest networks fit; and so little effort that they are soon all known."""
    monkeypatch.setattr("microzoo.search.propose.MAX_SAMPLES", 3)
    monkeypatch.setattr("microzoo.search.propose.MAX_CHILDREN", 5)
    monkeypatch.setattr("microzoo.search.propose.MAX_TOURNAMENTS", 2)
    problem = replace(PROBLEM, limits=Limits(8192, 1900, 500_000), references=False)

    def go() -> list[Row]:
        with History(tmp_path / "history", "identity") as history, LocalExecutor(fake_evaluation, 2, threads=True) as executor:
            return search(
                problem, history, executor, evaluations=5000, on_row=lambda _: None, should_stop=lambda rows: len(rows) > 400
            )

    rows = go()
    assert 0 < len(rows) < 400
    assert go() == rows


def test_counting_reads_only(tmp_path: Path) -> None:
    assert count_evaluations(tmp_path / "nothing") == 0
    (tmp_path / "garbage").write_bytes(b"garbage")
    assert count_evaluations(tmp_path / "garbage") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["garbage"]
