"""Cuts: seeded and stratified by class, or by group."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from microzoo.data.arrays import Labels

Indices = NDArray[np.int64]


def stratified_cut(labels: Labels, share: float, seed: int) -> tuple[Indices, Indices]:
    """Indices of (rest, cut), each ascending; `cut` holds round(share * count) of every class, drawn without replacement.

    The same labels, share and seed give the same cut on every machine (numpy's PCG64 and its permutation).
    """
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        chosen[rng.permutation(members)[: round(share * len(members))]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def group_cut(groups: NDArray[np.str_], chosen: tuple[str, ...]) -> tuple[Indices, Indices]:
    """Indices of (rest, cut), each ascending; `cut` holds all whose group is among `chosen`.

    Raises KeyError with one that nobody has.
    """
    for group in chosen:
        if group not in groups:
            raise KeyError(group)
    inside = np.isin(groups, chosen)
    return np.flatnonzero(~inside), np.flatnonzero(inside)
