"""Instructions of many random networks on an emulated Cortex-M, exactly as `measure.emulate` counts them, many to an image.

The kernel library is compiled once a core, a network's own source once, and several networks are linked into one program, whose
main is `firmware/emulated.c` with another end. Linked once more with each kernel wrapped, the program counts each call by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod, sqrt
from pathlib import Path

import numpy as np

from microzoo.cost.flash import weight_bytes
from microzoo.cost.liveness import liveness
from microzoo.cost.macs import macs
from microzoo.cost.memory import best_order
from microzoo.errors import ArchitectureError
from microzoo.export.c import c_plan, c_sources
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
from microzoo.graph.ops import Add, Conv, Dense, Depthwise, Flatten, weight_shape
from microzoo.measure import arm
from microzoo.measure.c_runtime import FIRMWARE, compile_c
from microzoo.measure.emulate import BOARDS, _run
from microzoo.space.lowering import lower
from microzoo.space.sampling import MICROZOO_SPACE, sample
from microzoo.spec.cores import Core

INPUT_SHAPES = ((28, 28, 1), (16, 16, 1), (32, 32, 3), (49, 10, 1), (48, 48, 3))
CLASSES = 10
MAX_WEIGHT_BYTES, MAX_ARENA_BYTES, MAX_MACS = 150_000, 160_000, 20_000_000
"""What a microcontroller holds, and runs while somebody waits."""
IMAGE_BYTES = 250_000
"""Of weights, and of arenas, in one program: a board has 512 KB of each."""
KERNELS = ("conv", "depthwise", "max_pool", "average_pool", "pad", "add")

MAIN = """
#define MODEL_INPUT_BYTES 1
#define MODEL_OUTPUT_BYTES 1
#define EMULATED_INPUTS 1
#include <stdint.h>
static int8_t nobyte[1];
static int8_t *model_input(void) { return nobyte; }
static const int8_t *model_output(void) { return nobyte; }
static void model_invoke(void) { }
const int8_t emulated_inputs[1];
#define main main_of_one_model
#include "emulated.c"
#undef main
#define MAX_CALLS 256
static volatile uint32_t counts[MAX_CALLS], calls, own;
static __attribute__((noinline)) uint32_t now(void) {
    uint32_t rounds, value;
    do {
        rounds = timer_rounds;
        value = SYST_CVR;
    } while (rounds != timer_rounds);
    return (rounds << TIMER_BITS) - value;
}
#define WRAP(kernel, parameters, arguments) \\
    void __real_microzoo_##kernel parameters; \\
    void __wrap_microzoo_##kernel parameters; \\
    void __wrap_microzoo_##kernel parameters { \\
        const uint32_t start = now(); \\
        __real_microzoo_##kernel arguments; \\
        counts[calls++] = now() - start - own; \\
    }
#ifdef WRAPPED
WRAP(conv, (const void *l, const int8_t *i, int8_t *o), (l, i, o))
WRAP(depthwise, (const void *l, const int8_t *i, int8_t *o), (l, i, o))
WRAP(max_pool, (const void *l, const int8_t *i, int8_t *o), (l, i, o))
WRAP(average_pool, (const void *l, const int8_t *i, int8_t *o), (l, i, o))
WRAP(pad, (const void *l, int z, const int8_t *i, int8_t *o), (l, z, i, o))
WRAP(add, (const void *l, const int8_t *a, const int8_t *b, int8_t *o), (l, a, b, o))
#endif
static void one(const char *name, void (*invoke)(void), int8_t *input, uint32_t bytes, uint32_t empty) {
    uint32_t i, seed = 12345, taken;
    for (i = 0; i < bytes; i++) {
        seed = seed * 1664525 + 1013904223;
        input[i] = (int8_t)(seed >> 24);
    }
    calls = 0;
    taken = ticks(invoke) - empty;
    say(name);
    say_number((int32_t)taken);
    for (i = 0; i < calls; i++) {
        say(" ");
        say_number((int32_t)counts[i]);
    }
    say("\\n");
}
DECLARATIONS
int main(void) {
    uint32_t empty, start;
    VTOR = (uint32_t)vectors;
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    CPACR |= UINT32_C(0xF) << 20;
    __asm__ volatile("dsb\\n\\tisb" ::: "memory");
#endif
    SYST_RVR = (UINT32_C(1) << TIMER_BITS) - 1;
    SYST_CVR = 0;
    SYST_CSR = 7;
    empty = ticks(nothing);
    start = now();
    own = now() - start; /* what looking at the timer takes */
CALLS
    say("done\\n");
    leave(0);
    return 0;
}
"""


@dataclass(frozen=True)
class Counted:
    """One network. total: instructions of an inference; ops: of each kernel call, in the order of the operators but Flatten."""

    total: int
    ops: tuple[int, ...]


def networks(count: int, seed: int) -> list[Graph]:
    """Random graphs of the search space in the order that is emitted, input shapes in turn, within the limits above."""
    rng = np.random.default_rng(seed)
    found: list[Graph] = []
    while len(found) < count:
        try:
            graph = lower(sample(rng, MICROZOO_SPACE), INPUT_SHAPES[len(found) % len(INPUT_SHAPES)], CLASSES)
        except ArchitectureError:
            continue
        if weight_bytes(graph) > MAX_WEIGHT_BYTES or macs(graph) > MAX_MACS:
            continue
        if max(liveness(graph, in_place=True).least()) > MAX_ARENA_BYTES:
            continue
        graph = graph.reordered(best_order(graph)[0])
        if c_plan(graph).total_bytes <= MAX_ARENA_BYTES:
            found.append(graph)
    return found


def random_model(graph: Graph, rng: np.random.Generator) -> IntegerModel:
    """Random weights, with scales as training finds them: outputs fill most of int8, and zero is lowest after a ReLU."""
    ops = tuple(replace(op, batch_norm=False) if isinstance(op, Conv | Depthwise) else op for op in graph.ops)
    graph = replace(graph, ops=ops)
    tensors = {graph.input: Quantisation(1 / 256, -128)}
    weights = {}
    for op in graph.ops:
        source = tensors[op.inputs[0]]
        if isinstance(op, Conv | Depthwise | Dense):
            shape = weight_shape(op, graph.shapes[op.input])
            channels = graph.shapes[op.output][-1]
            taps = prod(shape) // channels
            weight = np.clip(np.rint(rng.normal(0, 40, shape)), -127, 127).astype(np.int8)
            bias = rng.normal(0, 40 * 40 * sqrt(taps), channels).astype(np.int32)
            scales = rng.uniform(0.7, 1.3, 1 if isinstance(op, Dense) else channels) / (40 * sqrt(taps)) / 2
            weights[op.name] = IntegerWeights(weight, bias, scales.astype(np.float32))
            tensors[op.output] = Quantisation(source.scale, -128 if op.relu else _zero_point(rng))
        elif isinstance(op, Add):
            larger = max(tensors[name].scale for name in op.inputs)
            tensors[op.output] = Quantisation(float(np.float32(larger * 1.4)), -128 if op.relu else _zero_point(rng))
        else:
            tensors[op.output] = source
    return IntegerModel(graph, tensors, weights)


def _zero_point(rng: np.random.Generator) -> int:
    """Of a tensor with values of both signs. Never 0, which saves a Cortex-M55 work that a Graph cannot know of."""
    return int(rng.choice([-1, 1]) * rng.integers(1, 30))


def count_all(graphs: Sequence[Graph], core: Core, folder: Path, *, by_operator: bool, seed: int = 0) -> Iterator[Counted]:
    """Counts of all networks, in their order. folder: for what is compiled."""
    compiler = arm.compiler_for(core)
    rng = np.random.default_rng(seed)
    library = c_sources(random_model(graphs[0], rng), name="net")
    for file in ("microzoo_nn.c", "microzoo_nn.h"):
        (folder / file).write_text(library[file], encoding="utf-8")
    compile_c([*compiler, "-c", folder / "microzoo_nn.c", "-o", folder / "microzoo_nn.o"], "microzoo_nn.c")
    arm.compile_startup(compiler, folder)
    batch: list[tuple[str, Graph, Path]] = []
    weights = arenas = 0
    for index, graph in enumerate(graphs):
        name, needs, arena = f"net{index}", weight_bytes(graph), c_plan(graph).total_bytes
        if batch and (weights + needs > IMAGE_BYTES or arenas + arena > IMAGE_BYTES):
            yield from _count(batch, core, compiler, folder, by_operator)
            batch, weights, arenas = [], 0, 0
        sources = c_sources(random_model(graph, rng), name=name)
        for suffix in (".c", ".h"):
            (folder / (name + suffix)).write_text(sources[name + suffix], encoding="utf-8")
        compile_c([*compiler, "-I", folder, "-c", folder / f"{name}.c", "-o", folder / f"{name}.o"], name)
        (folder / f"{name}.c").unlink()
        batch.append((name, graph, folder / f"{name}.o"))
        weights, arenas = weights + needs, arenas + arena
    yield from _count(batch, core, compiler, folder, by_operator)


def _count(
    batch: Sequence[tuple[str, Graph, Path]], core: Core, compiler: Sequence[str], folder: Path, by_operator: bool
) -> Iterator[Counted]:
    declared = "".join(f"int8_t *{name}_input(void);\nvoid {name}_invoke(void);\n" for name, _, _ in batch)
    called = "".join(
        f'    one("{name} ", {name}_invoke, {name}_input(), {prod(graph.input_shape)}, empty);\n' for name, graph, _ in batch
    )
    (folder / "main.c").write_text(MAIN.replace("DECLARATIONS", declared).replace("CALLS\n", called), encoding="utf-8")
    objects = [folder / "startup.o", folder / "microzoo_nn.o", *(path for _, _, path in batch)]
    totals = _linked_and_run(core, compiler, folder, objects, ())
    wrapped = [f"-Wl,--wrap=microzoo_{kernel}" for kernel in KERNELS]
    each = _linked_and_run(core, compiler, folder, objects, wrapped) if by_operator else {}
    for name, graph, path in batch:
        path.unlink()
        ops = tuple(each[name][1:]) if by_operator else ()
        assert not by_operator or len(ops) == sum(not isinstance(op, Flatten) for op in graph.ops), name
        yield Counted(totals[name][0], ops)


def _linked_and_run(
    core: Core, compiler: Sequence[str], folder: Path, objects: Sequence[Path], wrapped: Sequence[str]
) -> dict[str, list[int]]:
    board = BOARDS[core]
    own = ["-std=gnu99", "-Wno-unused-function", *arm.STARTUP_FLAGS, "-I", FIRMWARE, *(["-DWRAPPED"] if wrapped else [])]
    compile_c([*compiler, *own, "-c", folder / "main.c", "-o", folder / "main.o"], "main.c")
    top = f"-Wl,--defsym=image_stack_top={0x20000000 + board.ram_bytes:#x}"
    image = arm.link(compiler, [*objects, folder / "main.o"], folder / "networks.elf", [top, *wrapped])
    report = _run(board, image)
    assert report.rstrip().endswith("done"), report[-500:]
    return {
        name: [round(int(value) / board.ticks_per_instruction) for value in values.split()]
        for name, values in re.findall(r"^(net\d+) ([\d ]+)$", report, re.MULTILINE)
    }
