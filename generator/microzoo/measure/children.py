"""Programs run beside this one, several at a time, with limits: native code may crash or hang on bad bytes, and we must not."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from microzoo.errors import MeasurementError
from microzoo.measure.scratch import writing_scratch

DEFAULT_SECONDS = 1800.0
"""Wall time after which a runtime counts as hanging."""

Started = tuple[subprocess.Popen[bytes], IO[bytes]]
"""A child, and the file to which its standard error goes."""
MAX_CHILDREN = 4
"""Each interpreter in a child maps its libraries and its model anew, so memory bounds their number."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def spread(inputs: int) -> int:
    """Over how many children to spread `inputs`: one a core up to MAX_CHILDREN, and none for fewer than 32 inputs, which it could
    not pay back.
    """
    return max(min(cores(), MAX_CHILDREN, inputs // 32), 1)


def run_together(commands: Sequence[Sequence[str | Path]], what: str, seconds: float = DEFAULT_SECONDS) -> list[str]:
    """Run all commands at once and wait. Returns what each wrote to its standard error.

    what: names the work in errors, for instance "model.tflite in TensorFlow Lite Micro". Each child has one thread for numerics.
    Raises MeasurementError where one fails, dies of a signal, or `seconds` of wall time pass; the others are ended. Raises
    StorageError where what they write cannot be kept.
    """
    with ExitStack() as stack:
        children = [start(stack, command) for command in commands]
        began = time.monotonic()
        for child, log in children:
            wait(child, log, what, seconds, began)
        return [text_of(log) for _, log in children]


def start(stack: ExitStack, command: Sequence[str | Path], *, waits: bool = False) -> Started:
    """Start one child, which `stack` ends when it closes. waits: whether it gets a standard input to read from.

    Raises StorageError where there is no room for what it writes.
    """
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with writing_scratch():
        log = stack.enter_context(TemporaryFile())  # noqa: SIM115 - it is entered
    source = subprocess.PIPE if waits else subprocess.DEVNULL
    child = subprocess.Popen(command, stdin=source, stdout=subprocess.DEVNULL, stderr=log, env=environment)
    stack.callback(_end, child)
    return child, log


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a child that still runs, and collect it."""
    if child.poll() is None:
        child.kill()
    if child.stdin is not None:
        with suppress(BrokenPipeError):
            child.stdin.close()
    child.wait()


def wait(child: subprocess.Popen[bytes], log: IO[bytes], what: str, seconds: float, began: float | None = None) -> None:
    """Wait for a child that `start` gave, `seconds` from now or from `began`. Raises as `run_together` does."""
    left = seconds if began is None else max(began + seconds - time.monotonic(), 0.0)
    try:
        status = child.wait(left)
    except subprocess.TimeoutExpired as error:
        raise MeasurementError(f"{what}: no result after {seconds:g} s", "give it more time, or a smaller model") from error
    if status < 0:
        raise MeasurementError(f"{what}: ended by {signal.Signals(-status).name}", "the file may be damaged: export it again")
    if status > 0:
        lines = [line.strip() for line in text_of(log).splitlines() if line.strip()]
        raise MeasurementError(f"{what}: {lines[-1] if lines else f'exit code {status}'}")


def text_of(log: IO[bytes]) -> str:
    """The last 64 KiB that a child wrote."""
    end = log.seek(0, os.SEEK_END)
    log.seek(max(end - 65536, 0))
    return log.read().decode(errors="replace")
