"""The order of operators with the least peak within one segment: a search over sets of executed operators.

A segment is a range of operators that all run after those before it and before those after it. Sets are bit masks as in
`cost.liveness`.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf
from typing import NamedTuple

from microzoo.cost.liveness import Liveness


class Step(NamedTuple):
    """A chain of operators undone at once, relative to the state that it starts from.

    needed: bytes at its highest moment minus those held at its start. change: bytes held at its end minus those at its start.
    mask: the set of its operators. released: operators that it leaves without users. chain: its operators, the last to run first.
    """

    needed: int
    change: int
    mask: int
    released: int
    chain: tuple[int, ...]


Steps = tuple[Step | None, Step]
"""From one operator: the chain that ends with no more bytes than at its start, where there is one; and the next worth a stop."""

Reached = dict[int, tuple[int, int, tuple[int, ...]]]
"""Set of executed operators -> least peak of a path to it, the set before it on that path, the chain between them."""


class TooManyStatesError(Exception):
    """The search of a segment reached more sets of executed operators than it may."""


def search(live: Liveness, start: int, stop: int, floor: int, most: float = inf) -> tuple[list[int], int]:
    """The best order of operators start .. stop - 1 once all before have run, and its peak (or `floor` where it stays below).
    Raises TooManyStatesError where more than `most` sets are reached.

    Dijkstra's algorithm over sets of executed operators, the length of a path being its peak, shorter sets first among equals. It
    walks from the end to the start, undoing operators: branches that are joined have one input and as many outputs as branches,
    so that undoing a whole branch mostly frees bytes while running it takes some.

    Live bytes are a submodular function of the executed set (a storage's bytes once it is written, less once all its readers have
    run), and so they are of the set that is undone. Hence a chain of operators that can be undone within the peak of its path and
    ends with no more bytes live than at its start may be undone at once: in any order that undoes it later, undoing it here
    raises no other moment. Then nothing else is branched into.
    """
    segment = _Segment(live, start, stop)
    first, goal = (1 << stop) - 1, (1 << start) - 1
    reached: Reached = {first: (floor, first, ())}
    heap = [(floor, stop, 0, first, _held(live, stop), segment.frontier(first))]
    pushed = 0
    while heap:
        peak, _, _, done, held, frontier = heappop(heap)
        if peak > reached[done][0]:
            continue
        if len(reached) > most:
            raise TooManyStatesError
        while done != goal:
            steps = segment.steps(done, frontier, peak - held)
            ahead = None
            for needed, change, mask, released, chain in steps:
                before, above = done ^ mask, held + needed
                if above < peak:
                    above = peak
                known = reached.get(before)
                if known is None or above < known[0]:
                    reached[before] = above, done, chain
                    state = before, held + change, frontier & ~mask | released
                    if above == peak and len(steps) == 1:
                        ahead = state  # it would be the next to be taken from the heap
                    else:
                        pushed += 1
                        heappush(heap, (above, before.bit_count(), pushed, *state))
            if ahead is None:
                break
            done, held, frontier = ahead
        else:
            return _path(reached, goal, first), peak
    raise AssertionError("a graph's operators have an order")


class _Segment:
    """The steps of one search.

    In a tree, where every operator but the last is read by one other and only one storage enters, what a step does depends on the
    set of executed operators only through whether that storage is live: so each step is worked out at most twice.
    """

    def __init__(self, live: Liveness, start: int, stop: int) -> None:
        self.live = live
        self.operators = (1 << stop) - (1 << start)
        self.entrance = _entrance(live, start, stop)
        self.users = live.users() if self.entrance is None else ()
        self.known: dict[int, dict[int, Steps]] = {}

    def frontier(self, done: int) -> int:
        """The operators that nothing has read once all of the segment have run: `done`."""
        return self._unused(done & self.operators, done) if self.users else 1 << done.bit_length() - 1

    def steps(self, done: int, frontier: int, room: int) -> list[Step]:
        """One chain to undo that costs nothing, where there is one; else the next chain worth a stop from each operator of the
        frontier. room: bytes between those held and the peak of the path.
        """
        found = []
        known = self.known.setdefault(done if self.entrance is None else self.entrance & ~done != 0, {})
        while frontier:
            index = frontier.bit_length() - 1
            frontier ^= 1 << index
            both = known.get(index)
            if both is None:
                both = known[index] = self._steps(index, done)
            down, up = both
            if down is not None and down.needed <= room:
                return [down]
            found.append(up)
        return found

    def _steps(self, index: int, done: int) -> Steps:
        """The steps from operator `index`.

        A chain that costs stops after its highest operator among those before the first moment with no more bytes than at the
        start. To stop earlier is useless: as long as what an operator adds and frees does not depend on what else is undone,
        putting off all before the highest one until that one is undone saves bytes meanwhile and raises no moment.
        """
        live, producers = self.live, self.live.producers
        chain: list[int] = []
        before, needs = done, 0
        now, highest, separate = 0, 0, True
        top: Step | None = None
        ready = 1 << index
        while ready:
            index = ready.bit_length() - 1
            bit = 1 << index
            chain.append(index)
            before ^= bit
            separate = separate and _separate(live, index, before)
            taken, change = live.effect(index, before)
            now -= change
            higher = now + taken > highest
            if higher:
                highest = now + taken
            needs |= producers[index]
            ready = self._unused(producers[index] & self.operators, before)
            if top is None or now <= 0 or (separate and higher):
                released = self._unused(needs & self.operators & before, before)
                step = Step(highest, now, done ^ before, released, tuple(chain))
                top = step if separate or top is None else top
                if now <= 0:
                    return step, top
            separate = separate and not producers[index] & (producers[index] - 1)
        assert top is not None
        return None, top

    def _unused(self, operators: int, done: int) -> int:
        """Those of `operators` that no operator of `done` reads. In a tree all: they were found by undoing their only readers."""
        if not self.users:
            return operators
        unused, rest = 0, operators
        while rest:
            low = rest & -rest
            if not self.users[low.bit_length() - 1] & done:
                unused |= low
            rest ^= low
        return unused


def _entrance(live: Liveness, start: int, stop: int) -> int | None:
    """The mask of operators that read the one storage which enters a segment, where the segment is a tree; else None."""
    entering, own = set(), set(live.writes[start:stop])
    for index in range(start, stop):
        written, readers = live.writes[index], live.readers[live.writes[index]]
        if written < 0 or (index < stop - 1 and (readers & (readers - 1) or not readers or readers >> stop)):
            return None
        for storage in live.reads[index]:
            if storage not in own:
                entering.add(storage)
    return live.readers[entering.pop()] if len(entering) == 1 else None


def _held(live: Liveness, stop: int) -> int:
    """Bytes live once the operators before `stop` have run and no others."""
    storages = max(live.writes[:stop], default=-1) + 1 or 1
    return sum([size for size, readers in zip(live.sizes[:storages], live.readers, strict=False) if readers >> stop])


def _separate(live: Liveness, index: int, done: int) -> bool:
    """Whether undoing `index` changes live bytes by the same at this moment (`done` without it) and at any later one.

    It does where what it reads has no other reader, or another one that is undone already, or no bytes.
    """
    bit = 1 << index
    for storage in live.reads[index]:
        readers = live.readers[storage]
        if readers != bit and not readers & ~(done | bit) and live.sizes[storage]:
            return False
    return True


def _path(reached: Reached, goal: int, first: int) -> list[int]:
    """The operators in the order of execution; the search went backwards."""
    path: list[int] = []
    state = goal
    while state != first:
        _, state, chain = reached[state]
        path += reversed(chain)
    return path
