"""Resources: what a network is predicted to need."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Resources:
    """Predicted from the Graph alone.

    activation_bytes: int8 activations at the worst moment, input included, add in place, in the order that is emitted.
    weight_bytes: int8 weights + int32 biases + requantisation tables, as the C export stores them.
    ram_bytes, flash_bytes: what the target's runtime needs in all: activations + its own RAM; weights + its code.
    macs: multiply-accumulates of convolutions and dense layers.
    instructions: of one inference of the generated C on the target's core, see `cost.latency`.
    paper_ram_bytes, paper_size_bytes: µNAS' definitions (input excluded, add in place; 1 byte a parameter).
    """

    activation_bytes: int
    weight_bytes: int
    ram_bytes: int
    flash_bytes: int
    macs: int
    instructions: int
    paper_ram_bytes: int
    paper_size_bytes: int
