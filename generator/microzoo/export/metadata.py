"""What a .tflite and an .onnx say in words besides the network: how raw values become the input's real values."""

from __future__ import annotations

from typing import Protocol


class Normalisation(Protocol):
    """From raw values to the network's real input: (raw * scale - mean) / std. A dataset's preprocessing is one."""

    @property
    def scale(self) -> float:
        """Factor on the raw value."""

    @property
    def mean(self) -> float:
        """Subtracted after scaling."""

    @property
    def std(self) -> float:
        """Divides last."""


def normalisation_text(normalisation: Normalisation) -> str:
    """A formula that people and programs can read; what changes nothing is left out: "real = raw * 0.00392156886"."""
    text = "raw" if normalisation.scale == 1.0 else f"raw * {normalisation.scale:.9g}"
    if normalisation.mean != 0.0:
        text = f"{text} {'-' if normalisation.mean > 0.0 else '+'} {abs(normalisation.mean):.9g}"
    if normalisation.std != 1.0:
        text = f"({text}) / {normalisation.std:.9g}" if " " in text else f"{text} / {normalisation.std:.9g}"
    return f"real = {text}"
