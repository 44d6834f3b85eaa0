"""The Pareto front of a history, and which candidates of it are worth a full training."""

from __future__ import annotations

from collections.abc import Sequence

from microzoo.search.history import Row


def objectives(row: Row) -> tuple[float, int, int, int]:
    """Error, RAM, flash, MACs: all to be small."""
    resources = row.evaluation.resources
    return 1.0 - row.evaluation.validation_accuracy, resources.ram_bytes, resources.flash_bytes, resources.macs


def dominates(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    """Whether `a` is nowhere worse than `b` and somewhere better."""
    return all(x <= y for x, y in zip(a, b, strict=True)) and a != b


def pareto_front(rows: Sequence[Row]) -> list[Row]:
    """The rows that no other row dominates, failures left out, by ordinal."""
    alive = [(objectives(row), row.candidate.ordinal, row) for row in rows if row.evaluation.failure is None]
    front: list[tuple[tuple[float, ...], int, Row]] = []
    # Whatever dominates a row comes before it in this order, so comparing with the front so far is enough.
    for found in sorted(alive, key=lambda item: item[:2]):
        if not any(dominates(other[0], found[0]) for other in front):
            front.append(found)
    return [row for _, _, row in sorted(front, key=lambda item: item[1])]


def finalists(rows: Sequence[Row], count: int) -> list[Row]:
    """The `count` most accurate of the front, best first; equal accuracy: the smaller RAM, then the earlier one."""
    front = pareto_front(rows)
    return sorted(front, key=lambda row: (objectives(row)[:2], row.candidate.ordinal))[:count]
