"""What readers give and what training and measuring take: plain numpy arrays, channels last."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Raw = NDArray[np.uint8] | NDArray[np.float32]
Inputs = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class RawData:
    """What a reader found. x: (N, H, W, C), uint8 or float32; y: (N,) int64, 0 to classes - 1. No test part: both None.

    groups: (N,), whose input each is, where the reader knows groups. sound: (N, samples), what x was made from.
    """

    x: Raw
    y: Labels
    x_test: Raw | None = None
    y_test: Labels | None = None
    groups: NDArray[np.str_] | None = None
    sound: NDArray[np.int16] | None = None


@dataclass(frozen=True)
class Part:
    """One split, prepared. x: (N, H, W, C) float32 as the network reads it; y: (N,) int64."""

    x: Inputs
    y: Labels

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test. Only `measure` looks at test, once for each published entry."""

    train: Part
    validation: Part
    test: Part
    raw_validation: Raw | None = None
    """The validation inputs before preprocessing, in the same order."""
    validation_sound: NDArray[np.int16] | None = None
    """(N, samples): the sound that they were made from, where it was sound."""
