"""How long `zoo inspect` takes, as a user meets it: a whole process, from its start to its report.

    python benchmarks/inspect_speed.py [--runs 9]

The median of the runs on the published entry with the largest file, as .tflite (with TensorFlow Lite Micro's arena) and as .onnx.
The limit is 1 s. The peer is a process that does no more than run the same .tflite once: LiteRT's interpreter, on zeros. Modules
should be compiled: where PYTHONDONTWRITEBYTECODE is set and nobody did, each start takes a second more.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from _site_lab import ROOT, busy, machine, median

LIMIT_SECONDS = 1.0
PEER = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(sys.argv[1])
interpreter.allocate_tensors()
source = interpreter.get_input_details()[0]
interpreter.set_tensor(source["index"], np.zeros(source["shape"], source["dtype"]))
interpreter.invoke()
"""


def main() -> int:
    """Prints the table; gives 1 where a report takes more than the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    tflite = max((ROOT / "zoo").rglob("model.tflite"), key=lambda path: path.stat().st_size)
    program = [sys.executable, "-m", "microzoo", "inspect"]
    commands = {
        "zoo inspect model.tflite": [*program, tflite],
        "zoo inspect model.onnx": [*program, tflite.with_suffix(".onnx")],
        "LiteRT, one inference": [sys.executable, "-c", PEER, tflite],
    }
    print(f"{machine()}, {busy()}; median of {runs} runs; {tflite.relative_to(ROOT)}, {tflite.stat().st_size:,} bytes")
    times: dict[str, list[float]] = {title: [] for title in commands}
    for _ in range(runs):
        for title, command in commands.items():
            times[title].append(_seconds(command))
    peer = median(times["LiteRT, one inference"])
    print("\n| what | seconds | against LiteRT |\n|---|---:|---:|")
    for title, found in times.items():
        print(f"| {title} | {median(found):.2f} | {median(found) / peer:.2f} |")
    slowest = max(median(found) for found in times.values())
    print(f"\nThe slowest: {slowest:.2f} s, of {LIMIT_SECONDS:g} s.")
    return int(slowest > LIMIT_SECONDS)


def _seconds(command: list[str | Path]) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
