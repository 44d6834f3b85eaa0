"""A child of ours started before it is known what it shall do: it loads its libraries while its parent loads its own.

The module is light on purpose, so that a command can start the child first of all. The child gets no file before its parent has
given it one: `python -m MODULE -` loads, then reads its arguments, a JSON list, from standard input.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

from microzoo.measure.children import run_together, start, text_of, wait

RUNTIME_CHILD, ONNX_CHILD = "microzoo.measure.runtime_child", "microzoo.measure.onnx_child"
READERS = {".tflite": RUNTIME_CHILD, ".onnx": ONNX_CHILD}
"""By the suffix of a model file, the module that `zoo inspect` runs in a child for it."""


class Ahead:
    """A child that waits for its arguments, from its making until it closes; for `with`. It can run once."""

    def __init__(self, module: str) -> None:
        """module: of ours, which calls `told`."""
        self.module = module
        self._stack = ExitStack()
        self._child, self._log = start(self._stack, [sys.executable, "-m", module, "-"], waits=True)

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, command: Sequence[str | Path], what: str, seconds: float) -> str:
        """Let it do what `command` would: interpreter, "-m", its module, arguments. As `children.run_together` of that one."""
        assert list(command[:3]) == [sys.executable, "-m", self.module], command
        assert self._child.stdin is not None
        with suppress(BrokenPipeError):  # it has ended: the reason follows
            self._child.stdin.write(json.dumps([str(each) for each in command[3:]]).encode() + b"\n")
            self._child.stdin.flush()
        wait(self._child, self._log, what, seconds)
        return text_of(self._log)


def run_ahead(ahead: Ahead | None, command: Sequence[str | Path], what: str, seconds: float) -> str:
    """The command in a child that waits already, or in a new one. As `children.run_together` of that one."""
    return run_together([command], what, seconds)[0] if ahead is None else ahead.run(command, what, seconds)


@contextmanager
def reader(path: Path, *, arena: bool) -> Iterator[Ahead | None]:
    """The child that `zoo inspect` will want for this file; None where it wants none. arena: whether it runs a .tflite at all."""
    wanted = path.suffix in READERS and path.is_file() and (arena or path.suffix != ".tflite")
    with Ahead(READERS[path.suffix]) if wanted else nullcontext() as ahead:
        yield ahead


def told(arguments: list[str]) -> list[str]:
    """For the child: its arguments, or in place of "-" those that its parent sends. Ends it where the parent sends none."""
    if arguments != ["-"]:
        return arguments
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return [str(each) for each in json.loads(line)]
