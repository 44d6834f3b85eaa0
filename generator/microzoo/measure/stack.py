"""Deepest stack of a call, from gcc's call graphs and, for library routines, from their instructions.

Static: it adds up frames along every chain of calls and takes the deepest; nothing is run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from microzoo.errors import MeasurementError

_NODE = re.compile(r'node: \{ title: "([^"]+)" label: "([^"]*)"')
_EDGE = re.compile(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')
_FRAME = re.compile(r"(\d+) bytes \((static|dynamic,bounded|dynamic)\)")
_FUNCTION = re.compile(r"^([0-9a-f]+) <([^>]+)>:$")
_INSTRUCTION = re.compile(r"^\s*[0-9a-f]+:\t(?:[0-9a-f]+ )+\s*\t(\S+)\t?(.*)$")
_TARGET = re.compile(r"<([^>+]+)(?:\+0x[0-9a-f]+)?>")
_SYMBOL = re.compile(r"^([0-9a-f]+) [tTwW] (\S+)$", re.MULTILINE)
REGISTER_BYTES = {"r": 4, "s": 4, "d": 8, "q": 16}


@dataclass(frozen=True)
class Frame:
    """One function: bytes of stack it takes itself, and what it calls."""

    bytes: int
    calls: frozenset[str]


def frames_of_call_graph(texts: Iterable[str]) -> dict[str, Frame]:
    """Functions in the output of gcc's -fcallgraph-info=su (VCG graphs, one text a source file), by their names there.

    Raises MeasurementError on a frame whose size is known only at run time. Functions that gcc did not compile are left out.
    """
    frames: dict[str, int] = {}
    calls: dict[str, set[str]] = {}
    for text in texts:
        for title, label in _NODE.findall(text):
            if (found := _FRAME.search(label)) is not None:
                if found[2] == "dynamic":
                    raise MeasurementError(f"the stack of {title} is only known at run time")
                frames[title] = int(found[1])
        for caller, callee in _EDGE.findall(text):
            calls.setdefault(caller, set()).add(callee)
    return {name: Frame(size, frozenset(calls.get(name, ()))) for name, size in frames.items()}


def frames_of_disassembly(text: str) -> dict[str, Frame]:
    """Functions in the output of `objdump -d` for Arm: what their instructions push and reserve, and where they branch to.

    An upper bound: everything that a function pushes on any path is added up.
    """
    frames: dict[str, Frame] = {}
    name, size, calls = "", 0, set[str]()
    for line in (*text.splitlines(), "0 <end>:"):
        if (start := _FUNCTION.match(line)) is not None:
            if name:
                frames[name] = Frame(size, frozenset(calls - {name}))
            name, size, calls = start[2], 0, set()
        elif (found := _INSTRUCTION.match(line)) is not None:
            size += _reserved(found[1], found[2])
            if found[1].startswith("b") and (target := _TARGET.search(found[2])) is not None:
                calls.add(target[1])
    return frames


def with_aliases(frames: dict[str, Frame], symbols: str) -> dict[str, Frame]:
    """`frames` with every further name of the same address in the output of `nm`, such as __aeabi_idiv for __divsi3."""
    places: dict[str, list[str]] = {}
    for address, name in _SYMBOL.findall(symbols):
        places.setdefault(address, []).append(name)
    aliases = {
        alias: frames[name]
        for names in places.values()
        for name in names
        if name in frames
        for alias in names
        if alias not in frames
    }
    return frames | aliases


def _reserved(mnemonic: str, operands: str) -> int:
    """Bytes by which one Arm instruction lowers the stack pointer."""
    if mnemonic in ("push", "vpush", "push.w", "stmdb") and (mnemonic != "stmdb" or operands.startswith("sp!")):
        return sum(_registers(item) for item in operands.rpartition("{")[2].rstrip("}").split(","))
    if mnemonic.startswith("sub") and (found := re.match(r"sp, (?:sp, )?#(\d+)", operands)) is not None:
        return int(found[1])
    if (found := re.search(r"\[sp, #-(\d+)\]!", operands)) is not None:
        return int(found[1])
    return 0


def _registers(item: str) -> int:
    """Bytes of "r4", "lr" or a range like "d8-d11"."""
    first, _, last = item.strip().partition("-")
    width = REGISTER_BYTES.get(first[:1], 4) if first[1:].isdigit() else 4
    return width * (int(last[1:]) - int(first[1:]) + 1 if last else 1)


def deepest(root: str, frames: dict[str, Frame]) -> tuple[int, tuple[str, ...]]:
    """Bytes of the deepest chain of calls from `root`, and its functions.

    Raises MeasurementError on recursion, on a call through a pointer, and on a function of which nothing is known.
    """
    done: dict[str, tuple[int, tuple[str, ...]]] = {}

    def visit(name: str, above: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
        if name in done:
            return done[name]
        if name in above:
            raise MeasurementError(f"{name} calls itself: its stack has no static bound")
        if name not in frames:
            raise MeasurementError(f"nothing is known of the stack of {name}, called by {above[-1] if above else 'nobody'}")
        below = max((visit(callee, (*above, name)) for callee in sorted(frames[name].calls)), default=(0, ()))
        done[name] = (frames[name].bytes + below[0], (name, *below[1]))
        return done[name]

    return visit(root, ())
