"""The child process in which interpreters run: `python -m microzoo.measure.runtime_child RUNTIME MODEL INPUTS OUTPUTS CPU ARENA`.

RUNTIME: tflm, litert or onnx. MODEL: .tflite or .onnx. INPUTS: .npy int8 (N, H, W, C). OUTPUTS: where the .npy int8 (N, classes)
goes, or "-": then TFLM runs once and prints its arena to standard error. CPU: seconds of processor time. ARENA: bytes for TFLM.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Int8 = NDArray[np.int8]
MEMORY_BYTES = 6 << 30
"""Address space of the child; the libraries alone map about 2 GB."""
ONNX_BATCH = 256


def main(arguments: list[str]) -> None:
    """Run the model over the inputs, within the limits. An error ends the process with its text on standard error."""
    runtime, model, inputs, outputs, cpu, arena = arguments
    seconds = int(cpu)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    if sys.platform == "linux":  # macOS has the constant and refuses it
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    x: Int8 = np.load(inputs)
    run: dict[str, Callable[[], Int8]] = {
        "tflm": lambda: run_tflm(model, x, int(arena), report=outputs == "-"),
        "litert": lambda: run_litert(model, x),
        "onnx": lambda: run_onnx(model, x),
    }
    y = run[runtime]()
    if outputs != "-":
        np.save(outputs, y)


def run_tflm(model: str, x: Int8, arena_bytes: int, *, report: bool) -> Int8:
    """TensorFlow Lite Micro's reference kernels. `report`: its record of allocations goes to file descriptor 2."""
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_file(model, arena_size=arena_bytes)
    y: list[Any] = []
    for image in x:
        interpreter.set_input(image[None], 0)
        interpreter.invoke()
        y.append(np.array(interpreter.get_output(0)).reshape(-1))
    if report:
        interpreter.print_allocations()
    return np.stack(y)


def run_litert(model: str, x: Int8) -> Int8:
    """LiteRT's reference kernels (BUILTIN_REF): its default kernels round otherwise than a microcontroller does."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model, num_threads=1, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    y: list[Any] = []
    for image in x:
        interpreter.set_tensor(source, image[None])
        interpreter.invoke()
        y.append(interpreter.get_tensor(result).reshape(-1))
    return np.stack(y)


def run_onnx(model: str, x: Int8) -> Int8:
    """ONNX Runtime on one thread of the CPU, as it comes. The file takes int8 channels first."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    batch = source.shape[0] if isinstance(source.shape[0], int) else ONNX_BATCH
    planes = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    y = [session.run(None, {source.name: planes[i : i + batch]})[0] for i in range(0, len(x), batch)]
    return np.concatenate([part.reshape(len(part), -1) for part in y])


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Exception as error:  # noqa: BLE001 - a child answers its parent with one line and an exit code
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        sys.exit(f"{Path(sys.argv[2]).name if len(sys.argv) > 2 else 'model'}: {first}")
