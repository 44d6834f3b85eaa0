"""What our C runtime needs besides activations and weights: the kernels that are linked, the calls, the stack.

Fitted by `benchmarks/code_size.py` to linked images (arm-none-eabi-gcc 12.2 -O2) of random architectures; the greatest residual
of the fit is part of `base`, so that these are upper estimates.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, MaxPool, Op, Pad
from microzoo.spec.cores import Core

ARENA_ALIGNMENT = 4
FITTED_COMPILER = "arm-none-eabi-gcc 12.2"
"""Another version of the compiler makes other code."""


@dataclass(frozen=True)
class CodeSize:
    """Bytes of code, and of stack. base: in every image, the kernel of dense layers and convolutions included. kernels: once for
    each other kind that occurs, with what it pulls in from libgcc and libc. calls: for each operator, its parameters and call.
    Flatten costs nothing. stack: the deepest chain of calls from `model_invoke`, by gcc's static stack usage.
    """

    base: int
    kernels: dict[type[Op], int]
    calls: dict[type[Op], int]
    stack: int

    def total(self, graph: Graph) -> int:
        """Bytes of code for all operators of `graph`."""
        counts = Counter([type(op) for op in graph.ops])
        return self.base + sum([self.kernels.get(kind, 0) + count * self.calls.get(kind, 0) for kind, count in counts.items()])


ARMV6M = CodeSize(
    base=1142 + 28,
    kernels={Depthwise: 653, MaxPool: 195, AvgPool: 350, Add: 227, Pad: 273},
    calls={Conv: 65, Depthwise: 63, Dense: 63, MaxPool: 42, Add: 66, Pad: 42},
    stack=240,
)
"""Cortex-M0 and M0+: 16-bit Thumb, no divide, no long multiply. Stack 216 to 240 B."""
ARMV7M = CodeSize(
    base=860 + 11,
    kernels={Depthwise: 616, MaxPool: 191, AvgPool: 253, Add: 262, Pad: 485},
    calls={Conv: 64, Depthwise: 63, Dense: 64, MaxPool: 40, Add: 61, Pad: 44},
    stack=216,
)
"""Cortex-M3: no DSP instructions. Stack 192 to 216 B."""
ARMV7EM = CodeSize(
    base=984 + 11,
    kernels={Depthwise: 588, MaxPool: 367, AvgPool: 253, Add: 218, Pad: 561},
    calls={Conv: 64, Depthwise: 63, Dense: 64, MaxPool: 40, Add: 61, Pad: 44},
    stack=240,
)
"""Cortex-M4, M7 and M33, of which M4 and M7 were fitted. Stack 208 to 240 B."""
ARMV81M = CodeSize(
    base=1200 + 10,
    kernels={Depthwise: 472, MaxPool: 359, AvgPool: 257, Add: 213, Pad: 493},
    calls={Conv: 64, Depthwise: 63, Dense: 64, MaxPool: 40, Add: 61, Pad: 44},
    stack=272,
)
"""Cortex-M55, with vectors. Stack 240 to 264 B."""
TABLES: dict[Core, CodeSize] = {
    "cortex-m0": ARMV6M,
    "cortex-m0plus": ARMV6M,
    "cortex-m3": ARMV7M,
    "cortex-m4": ARMV7EM,
    "cortex-m7": ARMV7EM,
    "cortex-m33": ARMV7EM,
    "cortex-m55": ARMV81M,
}


def code_bytes(graph: Graph, core: Core) -> int:
    """Code that the C export of `graph` adds to an image for `core`, without weights and tables."""
    return TABLES[core].total(graph)


def stack_bytes(core: Core) -> int:
    """The most that an inference of the C export takes of the stack, interrupts not included."""
    return TABLES[core].stack
