"""The Pareto front of a search, and which candidates of it are worth a full training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from microzoo.search.ladder import Standing


def dominates(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    """Whether `a` is nowhere worse than `b` and somewhere better."""
    return all(x <= y for x, y in zip(a, b, strict=True)) and a != b


def pareto_front(standings: Sequence[Standing]) -> list[Standing]:
    """Those that no other one dominates, in the order given. Equal ones all stay."""
    if not standings:
        return []
    points = np.array([standing.objectives for standing in standings], np.float64)
    # Whatever dominates a point comes before it in this order, so comparing with the front so far is enough.
    order = np.lexsort(points.T[::-1])
    front = np.empty_like(points)
    members: list[int] = []
    for index in order:
        point = points[index]
        found = front[: len(members)]
        if not ((found <= point).all(axis=1) & (found < point).any(axis=1)).any():
            front[len(members)] = point
            members.append(int(index))
    return [standings[index] for index in sorted(members)]


def finalists(standings: Sequence[Standing], count: int) -> list[Standing]:
    """The `count` most accurate of the front, best first; equal accuracy: the smaller RAM, then the earlier one."""
    front = pareto_front(standings)
    return sorted(front, key=lambda standing: (standing.objectives[:2], standing.row.candidate.ordinal))[:count]
