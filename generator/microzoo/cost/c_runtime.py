"""What our C runtime needs besides activations and weights: the kernels that are linked, the calls, the stack.

Fitted by `benchmarks/code_size.py` to linked images (arm-none-eabi-gcc 12.2 -O2) of random architectures; the greatest residual
of the fit is part of `base`, so that these are upper estimates.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, MaxPool, Op, Pad
from microzoo.spec.models import Core

ARENA_ALIGNMENT = 4
STACK_BYTES = 192
"""Deepest chain of calls from `model_invoke`: 112 to 184 B by gcc's static stack usage, 60 random architectures, three cores."""


@dataclass(frozen=True)
class CodeSize:
    """Bytes of code. base: in every image, the dense kernel included. kernels: once for each kind that occurs, with what it
    pulls in from libgcc. calls: for each operator, its parameters and its call. Flatten costs nothing.
    """

    base: int
    kernels: dict[type[Op], int]
    calls: dict[type[Op], int]

    def total(self, graph: Graph) -> int:
        """Bytes of code for all operators of `graph`."""
        counts = Counter([type(op) for op in graph.ops])
        return self.base + sum([self.kernels.get(kind, 0) + count * self.calls.get(kind, 0) for kind, count in counts.items()])


ARMV6M = CodeSize(
    base=394,
    kernels={Conv: 819, Depthwise: 601, MaxPool: 360, AvgPool: 840, Add: 475, Pad: 422},
    calls={Conv: 65, Depthwise: 61, Dense: 38, MaxPool: 42, AvgPool: 62, Add: 45, Pad: 40},
)
"""Cortex-M0 and M0+: 16-bit Thumb, no divide, no long multiply. 60 images, within 35 B."""
ARMV7M = CodeSize(
    base=354,
    kernels={Conv: 977, Depthwise: 457, MaxPool: 279, AvgPool: 305, Add: 406, Pad: 567},
    calls={Conv: 64, Depthwise: 63, Dense: 38, MaxPool: 40, AvgPool: 61, Add: 45, Pad: 41},
)
"""All others, of which M4 and M7 were fitted: 120 images, within 14 B."""


def code_bytes(graph: Graph, core: Core) -> int:
    """Code that the C export of `graph` adds to an image for `core`, without weights and tables."""
    return (ARMV6M if core in ("cortex-m0", "cortex-m0plus") else ARMV7M).total(graph)
