"""A child that was started ahead does what one does that is started when it is needed, and never outlives its parent."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from microzoo.errors import MeasurementError
from microzoo.measure.ahead import READERS, Ahead, reader, run_ahead
from microzoo.measure.onnx_file import read_onnx

CHILD = READERS[".onnx"]


def test_a_file_read_by_a_child_that_waited_is_the_same(entry: Path) -> None:
    path = entry / "model.onnx"
    with reader(path, arena=True) as ahead:
        assert ahead is not None and ahead.module == CHILD
        early = read_onnx(path, values=True, ahead=ahead)
    late = read_onnx(path, values=True)
    assert early.nodes == late.nodes and early.shapes == late.shapes and early.values.keys() == late.values.keys()
    assert all((early.values[name] == late.values[name]).all() for name in late.values)


def test_its_error_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"no model")
    said = []
    with Ahead(CHILD) as waiting:
        for ahead in (None, waiting):
            with pytest.raises(MeasurementError) as caught:
                read_onnx(path, ahead=ahead)
            said.append(str(caught.value))
    assert said[0] == said[1] and "m.onnx" in said[0]


def test_one_that_ended_before_it_was_told_anything_is_an_error() -> None:
    with Ahead("microzoo.no_such_module") as ahead:
        ahead._child.wait(60)
        with pytest.raises(MeasurementError, match=r"the file: .*no_such_module"):
            run_ahead(ahead, [sys.executable, "-m", ahead.module, "x"], "the file", 60.0)


def test_one_that_is_not_needed_ends_with_its_block(entry: Path) -> None:
    with Ahead(CHILD) as ahead:
        number = ahead._child.pid
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
    with reader(entry / "model.tflite", arena=False) as none:
        assert none is None
    with reader(entry / "nothing.tflite", arena=True) as none:
        assert none is None


def test_it_ends_when_its_parent_is_killed() -> None:
    program = (
        f"import time; from microzoo.measure.ahead import Ahead; print(Ahead({CHILD!r})._child.pid, flush=True); time.sleep(99)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        number = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 60
    while _runs(number):
        assert time.monotonic() < deadline, "the child still waits"
        time.sleep(0.05)


def _runs(number: int) -> bool:
    """Whether a process is there and is more than the entry of one that ended."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
