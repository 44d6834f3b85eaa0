"""Files in TensorFlow Lite Micro and LiteRT, in child processes: both may kill theirs on what they do not like."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

CHILD = """
import sys
import numpy as np
cases, kind = np.load(sys.argv[1]), sys.argv[3]
results = {}
for key in cases.files:
    if not key.startswith("model"):
        continue
    data, outputs = cases[key].tobytes(), []
    if kind == "tflm":
        from tflite_micro import runtime
        interpreter = runtime.Interpreter.from_bytes(data, arena_size=1 << 21)
    else:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
        interpreter = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1)
        interpreter.allocate_tensors()
        source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    for image in cases[key.replace("model", "input")]:
        if kind == "tflm":
            interpreter.set_input(image[None], 0)
            interpreter.invoke()
            outputs.append(np.array(interpreter.get_output(0))[0])
        else:
            interpreter.set_tensor(source, image[None])
            interpreter.invoke()
            outputs.append(interpreter.get_tensor(target)[0].copy())
    results[key.replace("model", "output")] = np.stack(outputs)
np.savez(sys.argv[2], **results)
"""


def outputs(kind: str, files: list[bytes], inputs: list[np.ndarray], folder: Path) -> list[np.ndarray]:
    """kind: tflm or litert (reference kernels). What each file gives for its inputs (N, ...)."""
    arrays = {}
    for index, (data, x) in enumerate(zip(files, inputs, strict=True)):
        arrays |= {f"model{index}": np.frombuffer(data, np.uint8), f"input{index}": x}
    np.savez(folder / "cases.npz", **arrays)
    command = [sys.executable, "-c", CHILD, str(folder / "cases.npz"), str(folder / "results.npz"), kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    found = np.load(folder / "results.npz")
    return [found[f"output{index}"] for index in range(len(files))]


def images(shape: tuple[int, ...], count: int, seed: int) -> np.ndarray:
    """int8 (count, *shape); the first two hold nothing but the extremes."""
    x = np.random.default_rng(seed).integers(-128, 128, (count, *shape), dtype=np.int8)
    x[0], x[1] = -128, 127
    return x
