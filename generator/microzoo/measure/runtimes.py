"""Runtimes: what turns an exported file and int8 inputs into int8 outputs. The seam for further ones is the Protocol `Runtime`.

Interpreters run in child processes with limits (`runtime_child`), the generated C as a program of its own (`c_runtime`).
"""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from microzoo.errors import MeasurementError, ToolMissingError
from microzoo.measure.activations import peak_bytes
from microzoo.measure.ahead import RUNTIME_CHILD
from microzoo.measure.children import DEFAULT_SECONDS, run_together, spread
from microzoo.measure.scratch import save_array, scratch_folder
from microzoo.measure.tflite_file import read_tflite

Int8 = NDArray[np.int8]
Format = Literal["tflite", "onnx", "onnx with float ends", "c", "wasm"]


class Runtime(Protocol):
    """Runs one kind of exported file. The same inputs give the same outputs in every call."""

    @property
    def name(self) -> str:
        """Name and version for people, for instance "onnxruntime 1.23.0"."""

    @property
    def format(self) -> Format:
        """The kind of file that it runs."""

    def missing(self) -> str | None:
        """Why it cannot run here, with the remedy; None where it can."""

    def run(self, path: Path, x: Int8, seconds: float = DEFAULT_SECONDS) -> Int8:
        """path: the file, for C the folder of sources. x: int8 (N, H, W, C), N >= 1. Returns int8 (N, classes).

        Raises ToolMissingError where `missing()` says why, MeasurementError where the file does not run, its input has another
        shape, or `seconds` of wall time pass, and StorageError where there is no room for temporary files.
        """


class _Interpreter:
    """What the runtimes in child processes share: a package to look for, and the inputs spread over the cores."""

    kind: str
    title: str
    package: str
    remedy: str
    format: Format

    @property
    def name(self) -> str:
        """Name and version of the installed package."""
        try:
            return f"{self.title} {version(self.package)}"
        except PackageNotFoundError:
            return f"{self.title} (not installed)"

    def missing(self) -> str | None:
        """Why it cannot run here: the package is not installed."""
        if find_spec(self.package.replace("-", "_")) is not None:
            return None
        return f"the Python package {self.package} is not installed; {self.remedy}"

    def run(self, path: Path, x: Int8, seconds: float = DEFAULT_SECONDS) -> Int8:
        """See `Runtime.run`."""
        check_inputs(x)
        if reason := self.missing():
            raise ToolMissingError(reason)
        arena = self.prepare(path, x)
        with scratch_folder() as scratch:
            parts = np.array_split(x, spread(len(x)))
            commands = [
                child_command(self.kind, path, scratch / f"x{i}.npy", f"{scratch}/y{i}.npy", seconds, arena)
                for i in range(len(parts))
            ]
            for i, part in enumerate(parts):
                save_array(scratch / f"x{i}.npy", part)
            run_together(commands, f"{path.name} in {self.name}", seconds)
            y = np.concatenate([np.load(scratch / f"y{i}.npy") for i in range(len(parts))])
        if y.dtype != np.int8:
            raise MeasurementError(f"{path.name} in {self.name}: its outputs are {y.dtype}, not int8")
        return y

    def prepare(self, path: Path, x: Int8) -> int:
        """Check the file before native code sees it. Returns the bytes of arena that an interpreter may want."""
        model = read_tflite(path)
        shape = model.tensors[model.inputs[0]].shape
        if shape != (1, *x.shape[1:]) or model.tensors[model.inputs[0]].dtype != "INT8":
            found = f"{model.tensors[model.inputs[0]].dtype} {shape}"
            raise MeasurementError(f"{path.name}: its input is {found}, the data are INT8 {(1, *x.shape[1:])}")
        return arena_budget(peak_bytes(model), model.file_bytes)


class TflmRuntime(_Interpreter):
    """TensorFlow Lite Micro's reference kernels from its Python wheel: what a target with runtime "tflm" computes."""

    kind, title, package, format = "tflm", "TensorFlow Lite Micro", "tflite-micro", "tflite"
    remedy = "on x86-64 Linux: pip install 'microzoo[tflm]'; there is no wheel for other machines"


class LiteRtRuntime(_Interpreter):
    """LiteRT's reference kernels. As TFLM, save that fully connected layers round once: up to one step apart there."""

    kind, title, package, format = "litert", "LiteRT reference kernels", "ai-edge-litert", "tflite"
    remedy = "pip install ai-edge-litert"


class OnnxRuntime(_Interpreter):
    """onnxruntime on the CPU, on the file with int8 input and output, channels first."""

    kind, title, package = "onnx", "onnxruntime", "onnxruntime"
    format: Format = "onnx"
    remedy = "pip install onnxruntime"

    def prepare(self, path: Path, x: Int8) -> int:
        """Nothing to check beforehand: the child is where onnxruntime may fail."""
        if not path.is_file():
            raise MeasurementError(f"{path}: no such file; {len(x)} inputs are waiting for it", "export the model again")
        return 0


class FloatOnnxRuntime(OnnxRuntime):
    """onnxruntime on the file with float input and output: it gets the int8 inputs dequantised, and its outputs are quantised
    again, both by the scales and zero points in the file's own metadata.
    """

    kind, format = "onnx_float", "onnx with float ends"


class WasmRuntime(_Interpreter):
    """The generated C compiled to WebAssembly, in wasmtime: what a browser computes. Bit for bit the same as the C."""

    kind, title, package, format = "wasm", "WebAssembly, wasmtime", "wasmtime", "wasm"
    remedy = "pip install 'microzoo[wasm]'"

    def prepare(self, path: Path, x: Int8) -> int:
        """Nothing to check beforehand: a module cannot reach beyond its own memory."""
        if not path.is_file():
            raise MeasurementError(f"{path}: no such file; {len(x)} inputs are waiting for it", "export the model again")
        return 0


class WasmFrontEnd(WasmRuntime):
    """The front end of sound in a model.wasm: its inputs are the bytes of samples, its outputs those of raw values."""

    kind, title = "wasm_features", "the front end in WebAssembly, wasmtime"


def check_inputs(x: Int8) -> None:
    """Our own callers hand over int8 (N, H, W, C) with N >= 1."""
    assert x.dtype == np.int8 and x.ndim == 4 and len(x) >= 1, (x.dtype, x.shape)


def arena_budget(peak: int, file_bytes: int) -> int:
    """Bytes of arena in which any model of this size can be set up on a 64-bit machine: generous, never part of a figure."""
    return (1 << 20) + 4 * peak + 4 * file_bytes


def child_command(kind: str, model: Path, inputs: Path | str, outputs: str, seconds: float, arena_bytes: int) -> list[str | Path]:
    """The command line of one `runtime_child`. outputs "-": only TFLM's record of allocations; `inputs` is then their number."""
    cpu = str(max(int(seconds), 1))
    return [
        sys.executable,
        "-m",
        RUNTIME_CHILD,
        kind,
        model.absolute(),
        inputs,
        outputs,
        cpu,
        str(arena_bytes),
    ]
