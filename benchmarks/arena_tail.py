"""How well the terms of the arena's tail explain it: tensors, operators and convolution channels against TensorFlow Lite Micro.

Run: python benchmarks/arena_tail.py [--count 200]      (needs tflite-micro)
The tail on a 32-bit chip is estimated by a formula in these terms (`measure.arena.tail_32bit_bytes`). The wheel is a 64-bit
build, so only the form of the formula can be tried here: its constants are fitted anew to the 64-bit tails of the first half of
random networks, by least squares, and judged on the second half. The peer is the same without channels and tensors: so many
bytes an operator. Beside it, what share of the 64-bit tail the 32-bit estimate is: pointers are half as long, integers are not.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from code_size import random_model
from microzoo.export.tflite import tflite
from microzoo.measure.arena import measure_arena, tail_32bit_bytes
from microzoo.measure.layers import weighted_channels
from microzoo.measure.runtimes import TflmRuntime
from microzoo.measure.tflite_file import parse_tflite
from predictions import networks

RESULTS = Path(__file__).parent / "results" / "arena_tail.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="networks")
    count = parser.parse_args().count
    terms, tails, estimates = [], [], []
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "model.tflite"
        for graph, _ in networks(count):
            content = tflite(random_model(graph, np.random.default_rng(0)))
            file.write_bytes(content)
            model = parse_tflite(content, file.name)
            terms.append((1, len(model.ops), len(model.tensors), weighted_channels(model)))
            tails.append(measure_arena(file).tail_bytes)
            estimates.append(tail_32bit_bytes(model))
    x, y, half = np.array(terms, float), np.array(tails, float), count // 2
    constants, errors = _judged(x, y, half)
    _, coarse = _judged(x[:, :2], y, half)
    share = np.array(estimates) / y
    where = f"{platform.machine()}, Python {platform.python_version()}, {TflmRuntime().name}"
    print(f"{where}; {count} networks, one measurement each (nothing varies)")
    named = ", ".join(
        f"{value:.1f} {name}" for value, name in zip(constants, ("B", "B/operator", "B/tensor", "B/channel"), strict=True)
    )
    print(f"64-bit tail, fitted to {half}: {named}")
    print(f"error on the other {count - half}: mean {errors.mean():.2%}, worst {errors.max():.2%}")
    print(f"peer, operators alone: mean {coarse.mean():.2%}, worst {coarse.max():.2%}; ratio {errors.mean() / coarse.mean():.3f}")
    print(f"the 32-bit estimate is {share.min():.0%} to {share.max():.0%} of the 64-bit tail")
    kept = {
        "machine": where,
        "networks": count,
        "constants": [round(float(value), 2) for value in constants],
        "mean_error": float(errors.mean()),
        "worst_error": float(errors.max()),
        "peer_mean_error": float(coarse.mean()),
        "share_of_64bit": [float(share.min()), float(share.max())],
    }
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def _judged(x: NDArray[np.float64], y: NDArray[np.float64], half: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Constants by least squares on the first `half`, and the absolute relative errors on the rest."""
    constants = np.linalg.lstsq(x[:half], y[:half], rcond=None)[0]
    return constants, np.abs(x[half:] @ constants - y[half:]) / y[half:]


if __name__ == "__main__":
    main()
