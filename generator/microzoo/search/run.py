"""The search loop: keep `parallel` candidates in flight, consume results in order, commit each before proposing the next."""

from __future__ import annotations

from collections.abc import Callable

from microzoo.search.executor import Executor
from microzoo.search.history import History
from microzoo.search.problem import Problem
from microzoo.search.propose import Proposer
from microzoo.search.types import Candidate, Evaluation, Row

OnRow = Callable[[list[Row]], None]
ShouldStop = Callable[[list[Row]], bool]


def search(
    problem: Problem,
    history: History,
    executor: Executor[Candidate, Evaluation],
    *,
    evaluations: int,
    on_row: OnRow,
    should_stop: ShouldStop,
) -> list[Row]:
    """Runs until the history holds `evaluations` rows or `should_stop` says so; returns these rows, those of earlier runs too.

    A longer history of an earlier run counts only up to `evaluations`. Where nothing new is left to propose, it ends with what
    there is.

    on_row: called with all rows after each commit. should_stop: asked before each new result is waited for; what is in flight
    then is abandoned and would be proposed again by a later run.
    """
    rows = history.rows()[:evaluations]
    proposer = Proposer(problem)
    for row in rows:
        proposer.replay(row.candidate)
    while len(rows) < evaluations and not should_stop(rows):
        while executor.in_flight < problem.parallel and proposer.next_ordinal < evaluations:
            candidate = proposer.propose(rows)
            if candidate is None:
                evaluations = proposer.next_ordinal
                break
            executor.submit(candidate)
        if not executor.in_flight:
            break
        candidate, evaluation = executor.next()
        row = Row(candidate, evaluation)
        history.append(row)
        rows.append(row)
        on_row(rows)
    return rows
