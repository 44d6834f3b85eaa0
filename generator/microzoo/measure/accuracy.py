"""From outputs to accuracies: scores, the confusion matrix, and the comparison of two runtimes' outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from microzoo.catalog.card import Accuracy
from microzoo.errors import MeasurementError
from microzoo.measure.runtimes import Int8

Labels = NDArray[np.integer[Any]]

TFLM_MACS_PER_SECOND = 1e9
"""Nominal speed of TFLM's reference kernels on one desktop core. Nominal, so that how many inputs are run depends on the model
and not on how busy the machine was: a card must come out the same again."""
LITERT_MACS_PER_SECOND = 1e9
"""Nominal speed of LiteRT's reference kernels on one desktop core: 1,000 images at 3.5 M MACs took 1.5-1.8 s on two busy ones."""
NOMINAL_SECONDS = 60.0
"""For each of the two slow runtimes, at its nominal speed: 10,000 inputs up to 6 M MACs."""


def predictions(y: Int8) -> NDArray[np.intp]:
    """Class of every input: the greatest logit, the first of equals. y: int8 (N, classes)."""
    classes: NDArray[np.intp] = np.argmax(y, axis=1)
    return classes


def accuracy(runtime: str, y: Int8, labels: Labels) -> Accuracy:
    """Share of the first n test inputs that `runtime` classified rightly. y: int8 (n, classes); labels: (N,), N >= n >= 1."""
    correct = int(np.count_nonzero(predictions(y) == labels[: len(y)]))
    return Accuracy(runtime=runtime, split="test", value=correct / len(y), correct=correct, n=len(y))


def confusion_matrix(y: Int8, labels: Labels) -> tuple[tuple[int, ...], ...]:
    """Counts (true class, predicted class). y: int8 (N, classes); labels: (N,)."""
    counts = np.zeros((y.shape[1], y.shape[1]), np.int64)
    np.add.at(counts, (labels[: len(y)], predictions(y)), 1)
    return tuple(tuple(row) for row in counts.tolist())


def argmax_disagreements(y: Int8, other: Int8) -> int:
    """Of the inputs that both ran (the first ones), how many are classified otherwise. int8 (n, classes) each."""
    common = min(len(y), len(other))
    return int(np.count_nonzero(predictions(y[:common]) != predictions(other[:common])))


def require_equal(y: Int8, name: str, other: Int8, other_name: str) -> int:
    """Outputs of two runtimes on the inputs that both ran. Returns how many those are.

    Raises MeasurementError that names the first differing logit: such files would not be one model.
    """
    common = min(len(y), len(other))
    if y.shape[1] != other.shape[1]:
        raise MeasurementError(f"{name} gives {y.shape[1]} outputs, {other_name} {other.shape[1]}")
    different = np.argwhere(y[:common] != other[:common])
    if len(different):
        image, logit = different[0].tolist()
        inputs = len(np.unique(different[:, 0]))
        problem = f"{name} and {other_name} differ on {inputs} of {common} inputs"
        values = f"{int(y[image, logit])} against {int(other[image, logit])}"
        raise MeasurementError(
            f"{problem}, first in logit {logit} of input {image}: {values}", "do not publish: a kernel is wrong"
        )
    return common


def affordable_inputs(macs: int, available: int, seconds: float, macs_per_second: float) -> int:
    """How many inputs a runtime gets through in `seconds` at its nominal speed: at least 1, at most `available`."""
    return max(min(available, int(seconds * macs_per_second / max(macs, 1))), 1)
