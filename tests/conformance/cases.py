"""Cases of the conformance suite: networks with inputs and the reference's outputs, in chunks that run on their own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from microzoo.graph.integer import IntegerModel
from microzoo.graph.ops import Op
from microzoo.quantise.reference import evaluate, run

from .architectures import space_model
from .corners import corner_models

Int8 = NDArray[np.int8]
IMAGES = 6
CORNERS = "corners"


@dataclass(frozen=True)
class Case:
    """One network. inputs: int8 (IMAGES, H, W, C), the first two nothing but extremes; expected: int8 (IMAGES, classes)."""

    name: str
    model: IntegerModel
    inputs: Int8
    expected: Int8

    def worst(self, op: Op, values: dict[str, Int8]) -> int:
        """Largest difference, in steps, of what a runtime wrote and what the reference gives for what that runtime read."""
        wanted = evaluate(self.model, op, [values[tensor] for tensor in op.inputs])
        return int(np.abs(values[op.output].astype(int) - wanted).max())

    def argmax_differs(self, logits: Int8) -> int:
        """On how many images another class wins."""
        return int(np.count_nonzero(logits.argmax(axis=1) != self.expected.argmax(axis=1)))


def chunk_names(networks: int, chunk: int) -> list[str]:
    """CORNERS, then ranges of networks of the space: "0-23", "24-47"."""
    starts = range(0, networks, chunk)
    return [CORNERS, *(f"{start}-{min(start + chunk, networks) - 1}" for start in starts)]


@lru_cache(maxsize=4)
def chunk_cases(name: str) -> tuple[Case, ...]:
    """The cases of one chunk."""
    if name == CORNERS:
        models = corner_models()
    else:
        first, last = map(int, name.split("-"))
        models = {f"network {seed}": space_model(seed) for seed in range(first, last + 1)}
    cases = []
    for index, (title, model) in enumerate(models.items()):
        inputs = np.random.default_rng(index).integers(-128, 128, (IMAGES, *model.graph.input_shape), dtype=np.int8)
        inputs[0], inputs[1] = -128, 127
        cases.append(Case(title, model, inputs, run(model, inputs)))
    return tuple(cases)
