"""The child process in which interpreters run: `python -m microzoo.measure.runtime_child RUNTIME MODEL INPUTS OUTPUTS CPU ARENA`.

RUNTIME: tflm, litert, onnx, onnx_float, wasm or wasm_features. MODEL: .tflite, .onnx or .wasm. INPUTS: .npy int8 (N, H, W, C).
OUTPUTS: where the .npy int8 (N, classes) goes, or "-": then TFLM runs once on zeros of whatever type the model takes, INPUTS is
the number of its inputs, and its arena is printed to standard error. CPU: seconds of processor time. ARENA: bytes for TFLM.
In place of all of them "-": see `microzoo.measure.ahead`; it is TFLM that is loaded then.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microzoo.measure.ahead import told

Int8 = NDArray[np.int8]
MEMORY_BYTES = 6 << 30
"""Address space of the child; the libraries alone map about 2 GB."""
ONNX_BATCH = 256


def main(arguments: list[str]) -> None:
    """Run the model over the inputs, within the limits. An error ends the process with its text on standard error."""
    if arguments == ["-"]:
        with suppress(ImportError):  # without the wheel nobody sends anything
            import tflite_micro.python.tflite_micro.runtime  # noqa: F401
    runtime, model, inputs, outputs, cpu, arena = told(arguments)
    limit(int(cpu))
    if outputs == "-":
        report_tflm(model, int(inputs), int(arena))
        return
    x: Int8 = np.load(inputs)
    run: dict[str, Callable[[], Int8]] = {
        "tflm": lambda: run_tflm(model, x, int(arena)),
        "litert": lambda: run_litert(model, x),
        "onnx": lambda: run_onnx(model, x),
        "onnx_float": lambda: run_onnx_float(model, x),
        "wasm": lambda: run_wasm(model, x),
        "wasm_features": lambda: run_wasm_features(model, x),
    }
    np.save(outputs, run[runtime]())


def limit(seconds: int) -> None:
    """Bound this process: `seconds` of processor time, MEMORY_BYTES of address space, no core file."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    if sys.platform == "linux":  # macOS has the constant and refuses it
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def report_tflm(model: str, inputs: int, arena_bytes: int) -> None:
    """One inference of zeros of a model with so many inputs; TFLM's record of allocations goes to file descriptor 2."""
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_file(model, arena_size=arena_bytes)
    for index in range(inputs):
        details = interpreter.get_input_details(index)
        interpreter.set_input(np.zeros(details["shape"], details["dtype"]), index)
    interpreter.invoke()
    interpreter.print_allocations()


def run_tflm(model: str, x: Int8, arena_bytes: int) -> Int8:
    """TensorFlow Lite Micro's reference kernels."""
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_file(model, arena_size=arena_bytes)
    y: list[Any] = []
    for image in x:
        interpreter.set_input(image[None], 0)
        interpreter.invoke()
        y.append(np.array(interpreter.get_output(0)).reshape(-1))
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
    return _run_planes(_onnx_session(model), x.transpose(0, 3, 1, 2))


def run_onnx_float(model: str, x: Int8) -> Int8:
    """The same for a file that takes and gives float32, with the parameters of both ends in its metadata."""
    session = _onnx_session(model)
    said = session.get_modelmeta().custom_metadata_map
    if missing := [key for key in _ENDS if key not in said]:
        raise ValueError(f"its metadata lacks {', '.join(missing)}")
    in_scale, in_zero, out_scale, out_zero = (float(said[key]) for key in _ENDS)
    real = (x.transpose(0, 3, 1, 2).astype(np.float32) - np.float32(in_zero)) * np.float32(in_scale)
    y = np.rint(_run_planes(session, real) / np.float32(out_scale)) + np.float32(out_zero)
    if not np.array_equal(y, np.clip(y, -128, 127)):
        raise ValueError("its outputs are not numbers within the range of the quantised output")
    found: Int8 = y.astype(np.int8)
    return found


def run_wasm(model: str, x: Int8) -> Int8:
    """The exports of microzoo.export.wasm, in wasmtime."""
    import wasmtime

    store = wasmtime.Store()
    exports = _wasm_exports(store, model, ("input", "output", "input_bytes", "output_bytes", "invoke"))
    source, result, wanted, given = (exports[name](store) for name in ("input", "output", "input_bytes", "output_bytes"))
    return _wasm_runs(store, exports, "invoke", x, (source, wanted), (result, given))


def run_wasm_features(model: str, x: Int8) -> Int8:
    """The front end of sound in the same module: the bytes of samples in, those of raw values out."""
    import wasmtime

    store = wasmtime.Store()
    exports = _wasm_exports(store, model, ("sound", "samples", "features", "raw", "raw_bytes"))
    source, samples, result, given = (exports[name](store) for name in ("sound", "samples", "raw", "raw_bytes"))
    return _wasm_runs(store, exports, "features", x, (source, 2 * samples), (result, given))


def _wasm_exports(store: Any, model: str, names: tuple[str, ...]) -> Any:
    import wasmtime

    exports: Any = wasmtime.Instance(store, wasmtime.Module.from_file(store.engine, model), []).exports(store)
    if missing := [name for name in ("memory", *names) if exports.get(name) is None]:
        raise ValueError(f"it does not export {', '.join(missing)}")
    return exports


def _wasm_runs(store: Any, exports: Any, function: str, x: Int8, source: tuple[int, int], result: tuple[int, int]) -> Int8:
    """source, result: address and bytes of what `function` reads and writes."""
    if x[0].size != source[1]:
        raise ValueError(f"the model takes {source[1]} bytes an input, the data have {x[0].size}")
    memory, y = exports["memory"], []
    for each in x:
        memory.write(store, each.tobytes(), source[0])
        exports[function](store)
        y.append(np.frombuffer(memory.read(store, result[0], result[0] + result[1]), np.int8))
    return np.stack(y)


_ENDS = ("input_scale", "input_zero_point", "output_scale", "output_zero_point")


def _onnx_session(model: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _run_planes(session: Any, planes: NDArray[Any]) -> NDArray[Any]:
    """Outputs (N, classes) of inputs (N, C, H, W), in batches."""
    source = session.get_inputs()[0]
    batch = source.shape[0] if isinstance(source.shape[0], int) else ONNX_BATCH
    planes = np.ascontiguousarray(planes)
    y = [session.run(None, {source.name: planes[i : i + batch]})[0] for i in range(0, len(planes), batch)]
    return np.concatenate([part.reshape(len(part), -1) for part in y])


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Exception as error:  # noqa: BLE001 - a child answers its parent with one line and an exit code
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        sys.exit(f"{Path(sys.argv[2]).name if len(sys.argv) > 2 else 'model'}: {first}")
