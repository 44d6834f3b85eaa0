"""Instructions of one inference on an emulated Cortex-M4: our C kernels against CMSIS-NN and against what bakenn generates.

    python benchmarks/kernels.py [--only NAME] [--ours]      (needs arm-none-eabi-gcc, qemu-system-arm, bakenn)

Every model is compiled at -O2 and run once: as our export, by bakenn with its portable kernels (the faster of its two choices),
and by bakenn with its copy of CMSIS-NN 4.0.0, which needs a buffer in RAM besides the arena. All get the same image, and their
outputs must be the same bytes. TensorFlow Lite Micro with CMSIS-NN was counted once, on three networks of these shapes with other
random weights, and is quoted. The goal is at most 1.2 times each peer's instructions. Our export also runs without DSP
instructions, as compiled for a Cortex-M3 and a Cortex-M0+.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bakenn
import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from _emulator import emulate, marked
from _kernel_networks import networks
from _lab import RESULTS, setting, write_results
from microzoo.export.c import c_sources
from microzoo.export.tflite import tflite
from microzoo.graph.integer import IntegerModel
from microzoo.graph.ops import Flatten
from microzoo.measure.c_runtime import compiler_version
from microzoo.spec.cores import Core

GOAL = 1.2
TFLM_CMSIS_NN = {"resdw": 4_200_000, "unas28": 2_600_000, "dscnn": 9_200_000}
"""Instructions, as measured before with TensorFlow Lite Micro and CMSIS-NN under the same emulator."""

M4 = bakenn.CORTEX_M4
PORTABLE = (
    bakenn.CBackendOptions(target=M4),
    bakenn.CBackendOptions(target=M4, kernel_policy=bakenn.KernelPolicy.STATIC_PRIORITY),
)
CMSIS_NN = bakenn.CBackendOptions(target=M4, kernel_policy=bakenn.KernelPolicy.STATIC_PRIORITY, enable_cmsis_nn=True)
Run = tuple[list[int], list[int]]
"""Instructions of each operator, and the output."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="models whose names hold this")
    parser.add_argument("--ours", action="store_true", help="leave the peers out, and write no results")
    arguments = parser.parse_args()
    sys.modules.setdefault("tflite", schema)  # bakenn asks for a package that holds the same generated classes
    tools = f"arm-none-eabi-gcc {compiler_version('arm-none-eabi-gcc')} -O2, bakenn {bakenn.__version__}"
    print(f"{setting()}, {tools}\n")
    rows = list(measured(arguments.only or "", arguments.ours))
    for row in rows:
        operators = "  ".join(f"{kind} {count / 1000:.1f}" for kind, count in row["operators"])
        print(f"{row['model']}: {operators}")
        if "cmsis_operators" in row:
            print(f"    CMSIS-NN: {'  '.join(f'{count / 1000:.1f}' for count in row['cmsis_operators'])}")
    print("\n" + "\n".join(table(rows)))
    if not arguments.only and not arguments.ours:
        write_results(RESULTS / "kernels.json", {"setting": f"{setting()}, {tools}", "goal": GOAL, "models": rows})


def measured(only: str, ours_only: bool) -> Iterator[dict[str, Any]]:
    """One row a model: instructions of each export, ours by operator."""
    for name, model in networks().items():
        if only not in name:
            continue
        shape = model.graph.input_shape
        image = np.random.default_rng(0).integers(-128, 128, shape).astype(np.int8).ravel().tolist()
        counts, output = ours(model, image)
        others: dict[Core, int] = {core: sum(ours(model, image, core)[0]) for core in ("cortex-m3", "cortex-m0plus")}
        kinds = [type(op).__name__.lower() for op in model.graph.ops if not isinstance(op, Flatten)]
        row: dict[str, Any] = {
            "model": name,
            "ours": sum(counts),
            "ours_on": others,
            "operators": list(zip(kinds, counts, strict=False)),
        }
        if not ours_only:
            portable = [peer(model, image, options) for options in PORTABLE]
            cmsis = peer(model, image, CMSIS_NN)
            assert all(run[1] == output for run in (*portable, cmsis)), f"{name}: outputs differ"
            row |= {"bakenn": min(sum(run[0]) for run in portable), "bakenn_cmsis_nn": sum(cmsis[0]), "cmsis_operators": cmsis[0]}
        if name in TFLM_CMSIS_NN:
            row["tflm_cmsis_nn"] = TFLM_CMSIS_NN[name]
        yield row


def ours(model: IntegerModel, image: list[int], core: Core = "cortex-m4") -> Run:
    """Our export of `model`."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for file, text in c_sources(model, name="peer").items():
            (folder / file).write_text(marked(text, "void peer_invoke") if file == "peer.c" else text, encoding="utf-8")
        return emulate(folder, ["peer.c", "microzoo_nn.c"], ["-std=gnu99"], image, classes(model), core)


def peer(model: IntegerModel, image: list[int], options: bakenn.CBackendOptions) -> Run:
    """What bakenn generates for the same model."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        compiled = bakenn.compile_tflite(with_bias_scales(tflite(model)), folder, name="peer", backend_options=options)
        assert compiled.plan is not None
        source = folder / "bknn_peer.c"
        source.write_text(marked(source.read_text(), "void bknn_peer_infer"))
        (folder / "adapter.c").write_text(ADAPTER)
        files = [path.relative_to(folder) for path in sorted(folder.rglob("*.c")) if path.parent.name != "Include"]
        includes = [f"-I{path.relative_to(folder)}" for path in sorted(folder.rglob("Include")) if path.is_dir()]
        return emulate(folder, files, ["-std=gnu11", "-w", "-I.", *includes], image, classes(model))


ADAPTER = """
#include "bknn_peer.h"
static int8_t input[BKNN_PEER_INPUT_BYTES], output[BKNN_PEER_OUTPUT_BYTES];
static uint8_t arena[BKNN_PEER_ARENA_SIZE + 1] __attribute__((aligned(16)));
int8_t *peer_input(void) { return input; }
const int8_t *peer_output(void) { return output; }
void peer_invoke(void) { bknn_peer_infer(arena, input, output); }
"""


def with_bias_scales(data: bytes) -> bytes:
    """The .tflite with scales for the biases, which our export leaves out and bakenn demands."""
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    tensors = model.subgraphs[0].tensors
    for operator in model.subgraphs[0].operators:
        if len(operator.inputs) == 3:
            source, weight, bias = (tensors[index] for index in operator.inputs)
            scales = np.float32(source.quantization.scale[0]) * np.asarray(weight.quantization.scale, np.float32)
            bias.quantization = schema.QuantizationParametersT(
                scale=[float(scale) for scale in scales], zeroPoint=[0] * len(scales), quantizedDimension=0
            )
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def classes(model: IntegerModel) -> int:
    """Bytes of the output."""
    return model.graph.shapes[model.graph.output][0]


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Markdown: millions of instructions, and ours as a multiple of each peer's."""
    yield "| model | ours | bakenn | ratio | bakenn, CMSIS-NN | ratio | TFLM, CMSIS-NN | ratio | ours on M3 | on M0+ |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for row in rows:
        cells = [row["model"], f"{row['ours'] / 1e6:.3f} M"]
        for key in ("bakenn", "bakenn_cmsis_nn", "tflm_cmsis_nn"):
            count = row.get(key)
            cells += [f"{count / 1e6:.3f} M", f"{row['ours'] / count:.2f}"] if count else ["", ""]
        cells += [f"{count / 1e6:.3f} M" for count in row["ours_on"].values()]
        yield "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
