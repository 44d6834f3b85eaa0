"""Cores, and what is assumed of one to turn a count of instructions into a time."""

from __future__ import annotations

from typing import Literal

Core = Literal["cortex-m0", "cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"]

DEFAULT_CPI: dict[Core, float] = {
    "cortex-m0": 1.3,
    "cortex-m0plus": 1.3,
    "cortex-m3": 1.7,
    "cortex-m4": 1.3,
    "cortex-m7": 0.9,
    "cortex-m33": 1.1,
    "cortex-m55": 1.3,
}
"""Cycles an instruction: an assumption, not a measurement, without wait states of flash and misses of a cache, with a
multiplier of one cycle on M0 and M0+. For M0, M0+, M3 and M4: the innermost loop of the convolution with the cycles of Arm's
reference manuals (two for a load, two or three for a taken branch, two for MLA on an M3). Arm publishes no cycles of the
others: M7 and M33 are taken as an M4, faster by their published CoreMark/MHz (3.40 for M4, 4.02 for M33, 5.01 for M7); M55 is
a guess, two for a vector.
"""


def milliseconds(instructions: float, clock_mhz: float, cycles_per_instruction: float) -> float:
    """Estimated time of `instructions`, all of which are assumed to take `cycles_per_instruction` on average; see DEFAULT_CPI."""
    assert clock_mhz > 0 and cycles_per_instruction > 0, (clock_mhz, cycles_per_instruction)
    return instructions * cycles_per_instruction / (clock_mhz * 1e3)


def instructions_within(latency_ms: float, clock_mhz: float, cycles_per_instruction: float) -> int:
    """Most instructions that are estimated to take no longer than `latency_ms`: the inverse of `milliseconds`, rounded down.

    Never more than 63 bits hold, however long the time.
    """
    assert clock_mhz > 0 and cycles_per_instruction > 0, (clock_mhz, cycles_per_instruction)
    return int(min(latency_ms * (clock_mhz * 1e3) / cycles_per_instruction, 2**63 - 1))
