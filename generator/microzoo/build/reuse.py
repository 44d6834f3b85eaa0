"""Evaluations that other searches paid for, taken over by a new one: another budget need not start from nothing.

What is taken over becomes the first part of the new history, so that the search after it is as repeatable and as safe to
interrupt as any other. It is done on request only: without it a search depends on nothing but its spec.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from microzoo.build.key import training_identity
from microzoo.build.scratch import kept_weights, write_atomically
from microzoo.errors import HistoryError
from microzoo.search.gate import Limits
from microzoo.search.history import History, read_history
from microzoo.search.types import Row
from microzoo.spec.load import Job

TRAINING = "training"
"""Note of a history: its training identity."""
TAKEN_OVER = "taken over"
"""Note of a history: how many of its first evaluations come from other searches."""


def others(work: Path, job: Job, own: Path) -> list[tuple[Path, list[Row]]]:
    """Histories of the same trainings below `work`, other targets and seeds included, with their rows; in the order of their
    paths. What cannot be read is left out.
    """
    wanted, found = training_identity(job), []
    for path in sorted((work / job.dataset_name).glob("*/*/history.sqlite")):
        if path == own:
            continue
        try:
            notes, rows = read_history(path)
        except HistoryError:
            continue
        if notes.get(TRAINING) == wanted and rows:
            found.append((path, rows))
    return found


def fitting(sources: Sequence[tuple[Path, Sequence[Row]]], limits: Limits) -> list[tuple[Path, Row, Row]]:
    """What fits `limits`: (history, its row, the same row as part of the new history), each network once at each rung.

    A longer training is taken over only together with the shorter ones of the same candidate. A parent that does not fit is
    forgotten.
    """
    taken: list[tuple[Path, Row, Row]] = []
    seen: set[tuple[str, int]] = set()
    for path, rows in sources:
        ordinals: dict[int, int] = {}
        for row in rows:
            candidate, below = row.candidate, row.candidate.promoted_from
            key = candidate.canonical, candidate.rung
            alone = below is not None and below not in ordinals
            if key in seen or alone or row.evaluation.failure is not None or not limits.fits(row.evaluation.resources):
                continue
            seen.add(key)
            ordinals[candidate.ordinal] = len(taken)
            moved = replace(
                candidate,
                ordinal=len(taken),
                parent=None if candidate.parent is None else ordinals.get(candidate.parent),
                promoted_from=None if below is None else ordinals[below],
            )
            taken.append((path, row, replace(row, candidate=moved)))
    return taken


def take_over(taken: Sequence[tuple[Path, Row, Row]], history: History, kept: Path | None) -> None:
    """Writes `taken` into the empty `history`, in one transaction. kept: where weights lie for children, None where nobody
    inherits; a row whose weights are gone gets an empty file, from which nothing is inherited.
    """
    for path, old, new in taken:
        if kept is not None:
            source = kept_weights(path.parent / "weights", old.candidate.ordinal)
            content = source.read_bytes() if source.is_file() else b""
            write_atomically(kept_weights(kept, new.candidate.ordinal), content)
    history.fill([new for _, _, new in taken], {TAKEN_OVER: str(len(taken))})
