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
    alive = [row for row in rows if row.evaluation.failure is None]
    return [row for row in alive if not any(dominates(objectives(other), objectives(row)) for other in alive)]


def finalists(rows: Sequence[Row], count: int) -> list[Row]:
    """The `count` most accurate of the front, best first; equal accuracy: the smaller RAM, then the earlier one."""
    front = pareto_front(rows)
    return sorted(front, key=lambda row: (objectives(row)[:2], row.candidate.ordinal))[:count]
