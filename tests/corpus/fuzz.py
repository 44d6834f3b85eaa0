"""Damaged model files, deterministic: `python tests/corpus/fuzz.py COUNT [SEED]` tries COUNT of each format and prints a summary;
with files behind the seed it tries each of those as it stands, and COUNT of each.

Each must end in a figure or in one line, within SECONDS. .tflite is read in this process. .onnx, which native code reads, is read
in a forked child with the limits of `measure.onnx_child`: there a signal is allowed too, since its parent turns it into one line.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

SECONDS = 10.0
ZOO = Path(__file__).parents[2] / "zoo"


def mutants(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Flipped bits, words set to extremes, pieces cut out, doubled, moved or truncated."""
    rng = np.random.default_rng(seed)
    # Most of a file is weights, which may hold anything: half of the damage goes to where structure is.
    structure = [place for place in range(0, len(data) - 8, 4) if b"\0\0" in data[place : place + 4]] or [0]
    for _ in range(count):
        mutant = bytearray(data)
        for _ in range(int(rng.choice([1, 1, 2, 4, 8]))):
            place = int(rng.choice(structure)) if rng.random() < 0.5 else int(rng.integers(0, max(len(mutant) - 8, 1)))
            place = min(place, len(mutant) - 5)
            kind = rng.random()
            if kind < 0.4:
                mutant[place] ^= 1 << int(rng.integers(8))
            elif kind < 0.75:
                extremes = (0, 1, -1, 2**31 - 1, -(2**31), 2**24, 255, int(rng.integers(-1000, 1000)), len(data))
                struct.pack_into("<i", mutant, place & ~3, extremes[int(rng.integers(len(extremes)))])
            elif kind < 0.85:
                other, size = int(rng.integers(0, len(mutant) - 4)), int(rng.integers(1, 64))
                mutant[place : place + size] = mutant[other : other + size]
            elif kind < 0.92:
                del mutant[place : place + int(rng.integers(1, 64))]
            else:
                del mutant[place:]
            if len(mutant) < 16:
                break
        yield bytes(mutant)


def try_tflite(data: bytes) -> str:
    """What came of it: "read", or the class of the error. Any other exception goes through."""
    from microzoo.errors import MicrozooError
    from microzoo.importer.order import best_order
    from microzoo.importer.repack import planned
    from microzoo.importer.tflite import import_tflite
    from microzoo.measure.activations import peak_bytes, planned_bytes
    from microzoo.measure.inspect import inspected_layers
    from microzoo.measure.tflite_file import parse_tflite

    try:
        model = parse_tflite(data, "mutant.tflite")
        inspected_layers(model)
        peak_bytes(model)
        best_order(model, in_place=False)
        planned(model)
        planned_bytes(model)
        import_tflite(data, "mutant.tflite", drop_softmax=True)
    except MicrozooError as error:
        return _one_line(error)
    return "read"


def _one_line(error: Exception) -> str:
    """The class of the error, whose text must be one line."""
    assert str(error).isprintable(), error
    return type(error).__name__


def try_onnx(data: bytes) -> str:
    """Read in a forked child: "read", the class of the error, "not sound", or the signal that ended it. Raises where it hangs, or
    where what its parent does with the graph fails by another exception than ours.
    """
    child = os.fork()
    if child == 0:
        status = ENDS.index("bug")
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            status = ENDS.index(_read_onnx(data))
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        assert number != signal.SIGXCPU, "it hung"
        return signal.Signals(number).name
    end = ENDS[os.WEXITSTATUS(status)]
    assert end != "bug", "an exception that is no MicrozooError"
    return end


ENDS = ("read", "refused", "not sound", "MeasurementError", "ImportedModelError", "bug")


def _read_onnx(data: bytes) -> str:
    from microzoo.errors import MicrozooError
    from microzoo.importer import onnx as importer
    from microzoo.measure import onnx_child, onnx_file
    from microzoo.measure.inspect import inspected_layers
    from microzoo.measure.runtime_child import limit

    limit(int(SECONDS))
    try:
        about, values = onnx_child.described(onnx_child.with_shapes(onnx_child.read(data)))
        about = json.loads(json.dumps(about))
    except onnx_child.Refusal:
        return "refused"
    except Exception:  # noqa: BLE001 - onnx_child.main says "not a sound .onnx file" then
        return "not sound"
    try:
        graph = onnx_file._graph(about, dict(zip(about["constants"], values, strict=True)), len(data), "mutant.onnx")
        inspected_layers(onnx_file.fused(graph))
        importer._Importer(graph, "mutant.onnx", True).run()
    except MicrozooError as error:
        return _one_line(error)
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        sys.stdout.flush()
        raise
    return "read"


def main(count: int, seed: int, given: list[Path]) -> None:
    """Print how often each end came, and how long the slowest took."""
    import microzoo.importer.onnx
    import microzoo.measure.onnx_child  # noqa: F401 - before forking, so that it is read once

    file = min(ZOO.glob("*/*/*/model.tflite"), key=lambda path: path.stat().st_size)
    for path in given or (file, file.with_suffix(".onnx")):
        attempt = try_tflite if path.suffix == ".tflite" else try_onnx
        ends: Counter[str] = Counter()
        slowest = 0.0
        for mutant in (*([path.read_bytes()] if given else []), *mutants(path.read_bytes(), count, seed)):
            started = time.perf_counter()
            ends[attempt(mutant)] += 1
            slowest = max(slowest, time.perf_counter() - started)
            assert slowest < 2 * SECONDS, "too slow"
        listed = ", ".join(f"{number} {end}" for end, number in ends.most_common())
        print(f"{path.suffix[1:]}: {sum(ends.values())} damaged files, slowest {slowest:.2f} s; {listed}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0, [Path(name) for name in sys.argv[3:]])
