from __future__ import annotations

import hashlib
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from microzoo.cost.resources import Resources
from microzoo.errors import HistoryError, TargetInfeasibleError
from microzoo.search.executor import LocalExecutor
from microzoo.search.fitness import Bounds, Weights, draw_weights, scalarise
from microzoo.search.front import dominates, finalists, pareto_front
from microzoo.search.gate import Limits
from microzoo.search.history import History, read_history
from microzoo.search.ladder import standings
from microzoo.search.problem import Problem
from microzoo.search.propose import Proposer
from microzoo.search.run import search
from microzoo.search.types import Candidate, Evaluation, Row
from microzoo.space.architecture import Architecture, Block, Layer
from microzoo.space.sampling import MICROZOO_SPACE

PROBLEM = Problem(
    input_shape=(8, 8, 1),
    classes=10,
    runtime="c",
    core="cortex-m0plus",
    limits=Limits(8192, 32768, 500_000),
    rules=MICROZOO_SPACE,
    seed=3,
    population=8,
    tournament=3,
    parallel=4,
    references=True,
    reference_widths=(1.0, 0.5),
    random_parents=3,
    max_sparsity=0.8,
    initial_sparsity=0.4,
    rungs=3,
    reduction=3,
)


def fake_evaluation(candidate: Candidate) -> Evaluation:
    """A deterministic stand-in for training: accuracy from a hash of the candidate."""
    resources = PROBLEM.resources(candidate.architecture)
    assert resources is not None
    assert PROBLEM.limits.fits(resources), "a candidate over the budget was trained"
    digest = hashlib.sha256(f"{candidate.design} {candidate.sparsity!r} {candidate.rung}".encode()).digest()
    failure = "diverged" if digest[0] < 20 else None
    return Evaluation(0.0 if failure else digest[1] / 255, resources, 1.0, digest[2] / 1e4, failure)


def slow_evaluation(candidate: Candidate) -> Evaluation:
    evaluation = fake_evaluation(candidate)
    time.sleep(evaluation.seconds)
    return evaluation


def row(ordinal: int, accuracy: float, ram: int, flash: int = 1, macs: int = 1, failure: str | None = None) -> Row:
    design = Architecture((Block((Layer("conv"),)),)).to_json()
    resources = Resources(ram, flash, ram, flash, macs, 4 * macs, ram, flash)
    return Row(Candidate(ordinal, design, "digest", 0.0, None, "random"), Evaluation(accuracy, resources, 1.0, 1.0, failure))


def run(path: Path, evaluations: int, *, stop_after: int | None = None, workers: int = 3) -> list[Row]:
    with History(path, "identity") as history, LocalExecutor(slow_evaluation, workers, threads=True) as executor:
        started = len(history.rows())
        return search(
            PROBLEM,
            history,
            executor,
            evaluations=evaluations,
            on_row=lambda _: None,
            should_stop=lambda rows: stop_after is not None and len(rows) - started >= stop_after,
        )


def digest(path: Path) -> str:
    with History(path, "identity") as history:
        return history.digest()


def test_history_depends_neither_on_timing_nor_on_interruptions(tmp_path: Path) -> None:
    run(tmp_path / "whole", 40)
    run(tmp_path / "one-worker", 40, workers=1)
    for stop_after in (1, 3, 7):
        path = tmp_path / f"every-{stop_after}"
        while len(run(path, 40, stop_after=stop_after)) < 40:
            pass
        assert digest(path) == digest(tmp_path / "whole"), stop_after
    assert digest(tmp_path / "one-worker") == digest(tmp_path / "whole")


def test_a_search_that_is_made_longer_goes_on_where_it_was(tmp_path: Path) -> None:
    run(tmp_path / "short", 20)
    run(tmp_path / "short", 30)
    run(tmp_path / "long", 30)
    assert digest(tmp_path / "short") == digest(tmp_path / "long")


def test_killed_without_warning_it_resumes_to_the_same_history(tmp_path: Path) -> None:
    """SIGKILL at whatever moment, three times; then to the end."""
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            f"""
            import sys
            sys.path.insert(0, {str(Path(__file__).parent)!r})
            from pathlib import Path
            import test_search
            test_search.run(Path(sys.argv[1]), 40)
            """
        ),
        encoding="utf-8",
    )
    path = tmp_path / "killed"
    for _ in range(3):
        process = subprocess.Popen([sys.executable, str(program), str(path)])
        before = _count(path)
        while _count(path) < min(before + 5, 40) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert 0 < _count(path) < 40
    run(path, 40)
    run(tmp_path / "whole", 40)
    assert digest(path) == digest(tmp_path / "whole")


def _count(path: Path) -> int:
    if not path.exists():
        return 0
    try:
        with sqlite3.connect(path, timeout=5) as connection:
            return int(connection.execute("select count(*) from evaluations").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def test_first_generation_is_references_then_random_then_children(tmp_path: Path) -> None:
    rows = run(tmp_path / "history", 40)
    origins = [row.candidate.origin for row in rows if row.candidate.rung == 0]
    references = origins.count("reference")
    assert references >= 2
    children = [row.candidate for row in rows if row.candidate.parent is not None]
    first = [row.candidate for row in rows if row.candidate.rung == 0]
    assert [candidate.origin for candidate in first[: references + 3]] == ["reference"] * references + ["random"] * 3
    assert {child.origin for child in children} & {"reference", "random"} == set()
    assert all(child.parent is not None and child.parent <= child.ordinal - PROBLEM.parallel for child in children)
    assert all(0.0 <= row.candidate.sparsity <= PROBLEM.max_sparsity for row in rows)


def test_parents_come_from_the_population_and_are_not_failures(tmp_path: Path) -> None:
    rows = run(tmp_path / "history", 60)
    for candidate in (row.candidate for row in rows if row.candidate.rung == 0 and row.candidate.parent is not None):
        assert candidate.parent is not None
        known = candidate.ordinal - PROBLEM.parallel + 1
        assert known - PROBLEM.population <= candidate.parent < known
        assert rows[candidate.parent].evaluation.failure is None


def test_no_candidate_is_trained_twice(tmp_path: Path) -> None:
    from microzoo.space.canonical import canonical

    rows = run(tmp_path / "history", 60)
    forms = [(canonical(row.candidate.architecture, PROBLEM.input_shape, PROBLEM.classes), row.candidate.rung) for row in rows]
    assert len(set(forms)) == len(forms)
    assert all(form == row.candidate.canonical for (form, _), row in zip(forms, rows, strict=True))


def test_a_target_that_nothing_fits_says_so_with_the_smallest_figures_seen() -> None:
    problem = replace(PROBLEM, limits=Limits(100, 32768, 500_000))
    started = time.monotonic()
    with pytest.raises(TargetInfeasibleError, match=r"the nearest one needs RAM \d+ of 100 bytes.*raise the budget"):
        Proposer(problem).propose([])
    assert time.monotonic() - started < 60


def test_scalarisation_by_hand() -> None:
    """error 0.2 / 0.1 = 2, over 0.5 is 4; RAM 30 / 60 = 0.5, over 0.1 is 5; flash 1 / 10, over 1; MACs 5 / 5, over 0.25 is 4."""
    candidate = np.array([(0.2, 30, 1, 5, 999)])
    bounds = Bounds(0.1, Limits(60, 10, 5))
    assert scalarise(candidate, bounds, Weights(0.5, 0.1, 1.0, 0.25)) == pytest.approx(5.0)
    assert scalarise(candidate, bounds, Weights(0.01, 1.0, 1.0, 1.0)) == pytest.approx(200.0)


def test_compute_is_the_worse_of_macs_and_instructions() -> None:
    """Instructions 24 / 20 = 1.2, over 0.2 is 6, against 5 / 5 over 0.2 = 5; without a limit on MACs only the 6 is left."""
    candidate, weights = np.array([(0.0, 0, 0, 5, 24)]), Weights(1.0, 1.0, 1.0, 0.2)
    assert scalarise(candidate, Bounds(0.1, Limits(60, 10, 5, 20)), weights) == pytest.approx(6.0)
    assert scalarise(candidate, Bounds(0.1, Limits(60, 10, 5, 40)), weights) == pytest.approx(5.0)
    assert scalarise(candidate, Bounds(0.1, Limits(60, 10, None, 40)), weights) == pytest.approx(3.0)


def test_scalarisation_caps_ratios_at_ten() -> None:
    assert scalarise(np.array([(1.0, 1, 1, 1, 1)]), Bounds(0.01, Limits(60, 10, 5)), Weights(1.0, 1.0, 1.0, 1.0)) == 10.0


def test_weights_are_uniform_and_never_zero() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([[w.error, w.ram, w.flash, w.compute] for w in (draw_weights(rng) for _ in range(4000))])
    assert drawn.min() > 0
    assert np.abs(drawn.mean(axis=0) - 0.5).max() < 0.02


def test_front_against_the_definition() -> None:
    rng = np.random.default_rng(1)
    rows = [row(i, float(rng.integers(0, 8)) / 8, *(int(v) for v in rng.integers(1, 6, 3))) for i in range(60)]
    rows.append(row(60, 0.0, 1, failure="diverged"))
    known = standings(rows, 1, 3)
    assert [standing.row for standing in known] == rows[:60], "what failed has no standing"
    front = pareto_front(known)
    for candidate in known:
        beaten = any(dominates(other.objectives, candidate.objectives) for other in known)
        assert (candidate in front) == (not beaten)
    assert [s.error for s in finalists(known, 3)] == sorted(standing.error for standing in front)[:3]
    assert pareto_front([]) == []


def test_gate_is_inclusive_and_violation_names_the_worst() -> None:
    limits = Limits(100, 200, 300, 400)
    exact = Resources(0, 0, 100, 200, 300, 400, 0, 0)
    assert limits.fits(exact)
    assert limits.violation(exact) == 1.0
    assert limits.describe(exact) == "RAM 100 of 100 bytes, flash 200 of 200 bytes, 300 of 300 MACs, 400 of 400 instructions"
    for field in ("macs", "instructions"):
        unlimited = replace(limits, **{field: None})
        assert unlimited.fits(replace(exact, **{field: 10**9})), "no limit, nothing to be over"
        assert unlimited.violation(replace(exact, **{field: 10**9})) == 1.0
    for field in ("ram_bytes", "flash_bytes", "macs", "instructions"):
        over = replace(exact, **{field: getattr(exact, field) + 1})
        assert not limits.fits(over)
        assert limits.violation(over) > 1.0


def test_history_round_trip_and_next_ordinal_only(tmp_path: Path) -> None:
    with History(tmp_path / "h", "a") as history:
        first = row(0, 0.5, 3)
        history.append(first)
        assert history.rows() == [first]
        with pytest.raises(AssertionError):
            history.append(row(2, 0.5, 3))


def test_wall_time_is_no_part_of_the_digest(tmp_path: Path) -> None:
    for name, seconds in (("a", 1.0), ("b", 2.0)):
        with History(tmp_path / name, "identity") as history:
            history.append(replace(row(0, 0.5, 3), evaluation=replace(row(0, 0.5, 3).evaluation, seconds=seconds)))
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_another_search_is_refused(tmp_path: Path) -> None:
    with History(tmp_path / "h", "a"):
        pass
    with pytest.raises(HistoryError, match="was made with identity = a, now it is b; delete the file"):
        History(tmp_path / "h", "b")


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_database_is_one_line_with_its_remedy(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "h").write_bytes(content)
    with pytest.raises(HistoryError, match=r"is damaged.*delete it to begin this search anew") as caught:
        History(tmp_path / "h", "a")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "h").read_bytes() == content


def test_a_damaged_row_is_named(tmp_path: Path) -> None:
    with History(tmp_path / "h", "a") as history:
        history.append(row(0, 0.5, 3))
        history.append(row(1, 0.5, 3))
    with sqlite3.connect(tmp_path / "h") as connection:
        connection.execute("update evaluations set design = 'garbage' where ordinal = 1")
    connection.close()
    with History(tmp_path / "h", "a") as history, pytest.raises(HistoryError, match="evaluation 1 cannot be read"):
        history.rows()
    with sqlite3.connect(tmp_path / "h") as connection:
        connection.execute("delete from evaluations where ordinal = 0")
    connection.close()
    with History(tmp_path / "h", "a") as history, pytest.raises(HistoryError, match="evaluation 0 is missing"):
        history.rows()


def test_a_damaged_design_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with History(tmp_path / "h", "a") as history:
        history.append(row(0, 0.5, 3))
    with sqlite3.connect(tmp_path / "h") as connection:
        connection.execute("update evaluations set design = '{}' where ordinal = 0")
    connection.close()
    with History(tmp_path / "h", "a") as history, pytest.raises(HistoryError, match="evaluation 0 of the history cannot be read"):
        _ = history.rows()[0].candidate.architecture


def test_a_history_that_is_being_made_is_empty(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "h").close()
    (tmp_path / "h").touch()
    assert read_history(tmp_path / "h") == ({}, [])


def test_a_folder_in_the_way_is_explained(tmp_path: Path) -> None:
    (tmp_path / "h").mkdir()
    with pytest.raises(HistoryError, match="check that the folder is writable"):
        History(tmp_path / "h", "a")
    (tmp_path / "file").write_text("")
    with pytest.raises(HistoryError, match="use another --work"):
        History(tmp_path / "file" / "h", "a")
