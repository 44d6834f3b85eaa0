"""Memory of activations: bytes live at every operator, their peak, and the order of operators with the least peak.

Definition of live, int8, one byte an element:
- the network's input from the start until its last reader is done, the network's output to the end;
- an operator's inputs and its output together while it runs;
- Flatten writes nothing: its output is another name for its input's bytes, counted once;
- in place, an Add writes over one of its inputs that nothing reads afterwards, under whatever name, and takes no bytes of
  its own; never over the network's input, which belongs to the caller.

What dies is known from the set of operators that have run, whatever their order was, and a storage is either free or held
whole. So a planner that shares bytes by the same two rules can reach the peak whenever its blocks pack without gaps, and never
undercut it.

The least peak is that of µNAS (Liberis, Dudziak, Lane 2021, section 3.3; Liberis and Lane 2019, "Neural networks on
microcontrollers: saving memory at inference via operator reordering"): the minimum over all topological orders by a dynamic
programme over the sets of operators that have run. See `minimum` for what keeps it small.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import prod

from microzoo.cost.liveness import Liveness, liveness
from microzoo.graph.graph import Graph
from microzoo.graph.ops import Shape


def tensor_bytes(shape: Shape) -> int:
    """Bytes of an int8 activation of `shape`."""
    return prod(shape)


def live_profile(graph: Graph, *, in_place: bool = True, count_input: bool = True) -> tuple[int, ...]:
    """Bytes live while each operator runs, in the graph's own order. `count_input`: False leaves the network's input out."""
    live = liveness(graph, in_place=in_place)
    return tuple((live if count_input else live.without_input()).profile(range(len(graph.ops))))


def peak_bytes(graph: Graph, *, in_place: bool = True, count_input: bool = True) -> int:
    """Bytes live at the worst moment, in the graph's own order."""
    return max(live_profile(graph, in_place=in_place, count_input=count_input))


def best_order(graph: Graph, *, in_place: bool = True, count_input: bool = True) -> tuple[tuple[int, ...], int]:
    """The order of operators (indices into `graph.ops`) with the least peak, and that peak in bytes: exact, deterministic.

    The graph's own order where nothing is better.
    """
    live = liveness(graph, in_place=in_place)
    return minimum(live if count_input else live.without_input())


def minimum(live: Liveness) -> tuple[tuple[int, ...], int]:
    """The best order and its peak.

    Operators that are comparable with all others cut the graph into segments that are solved one by one; a chain is all cuts. A
    segment is searched only where its own order exceeds what is needed anyway.
    """
    count = len(live.writes)
    own = live.profile(range(count))
    floor = max(_least(live, index) for index in range(count))
    if max(own) <= floor:
        return tuple(range(count)), max(own)
    order: list[int] = []
    peak = floor
    for start, stop in _segments(live):
        segment = list(range(start, stop))
        needed = max(own[start:stop])
        if needed > peak:
            segment, needed = _search(live, start, stop, peak)
        order += segment
        peak = max(peak, needed)
    return tuple(order), peak


def _least(live: Liveness, index: int) -> int:
    """Bytes that operator `index` needs in any order: its inputs, and its output unless that may be in place."""
    target = live.writes[index]
    own = 0 if target < 0 or live.in_place[index] else live.sizes[target]
    return own + sum([live.sizes[storage] for storage in live.reads[index]])


def _segments(live: Liveness) -> list[tuple[int, int]]:
    """Ranges [start, stop) of operators; all of a range run before the next, in any topological order."""
    count = len(live.producers)
    ancestors: list[int] = []
    for needs in live.producers:
        mask, rest = needs, needs
        while rest:
            low = rest & -rest
            mask |= ancestors[low.bit_length() - 1]
            rest ^= low
        ancestors.append(mask)
    cuts = []
    needed_by_all_later = -1
    for index in reversed(range(count)):
        if ancestors[index] == (1 << index) - 1 and needed_by_all_later >> index & 1:
            cuts.append(index + 1)
        needed_by_all_later &= ancestors[index]
    stops = sorted({*cuts, count})
    return list(zip([0, *stops], stops, strict=False))


def _search(live: Liveness, start: int, stop: int, floor: int) -> tuple[list[int], int]:
    """The best order of operators start .. stop - 1 once all before have run, and its peak (or `floor` where it stays below).

    Dijkstra's algorithm over sets of executed operators, the length of a path being its peak, shorter sets first among equals. It
    walks from the end to the start, undoing operators: branches that are joined have one input and as many outputs as branches,
    so that undoing a whole branch mostly frees bytes while running it takes some.

    Live bytes are a submodular function of the executed set (a storage's bytes once it is written, less once all its readers have
    run), and so they are of the set that is undone. Hence a chain of operators that can be undone within the peak of its path and
    ends with no more bytes live than at its start may be undone at once: in any order that undoes it later, undoing it here
    raises no other moment. Then nothing else is branched into.
    """
    first, goal = (1 << stop) - 1, (1 << start) - 1
    users = _users(live)
    reached: dict[int, tuple[int, int, tuple[int, ...]]] = {first: (floor, first, ())}
    heap = [(floor, stop, 0, first, _held(live, first))]
    pushed = 0
    while heap:
        peak, _, _, done, held = heappop(heap)
        if peak > reached[done][0]:
            continue
        if done == goal:
            return _path(reached, goal, first), peak
        last = [i for i in range(stop - 1, start - 1, -1) if done >> i & 1 and not users[i] & done]
        for chain in _steps(live, users, last, start, done, held, peak):
            before, needed, now = done, peak, held
            for index in chain:
                before ^= 1 << index
                now -= live.change(index, before)
                needed = max(needed, now + live.written(index, before))
            if before not in reached or needed < reached[before][0]:
                reached[before] = (needed, done, chain)
                pushed += 1
                heappush(heap, (needed, before.bit_count(), pushed, before, now))
    raise AssertionError("a graph's operators have an order")


def _users(live: Liveness) -> list[int]:
    """By operator the mask of those that read what it produced."""
    users = [0] * len(live.producers)
    for index, needs in enumerate(live.producers):
        while needs:
            low = needs & -needs
            users[low.bit_length() - 1] |= 1 << index
            needs ^= low
    return users


def _held(live: Liveness, done: int) -> int:
    """Bytes live once the operators of `done` have run."""
    written = {live.writes[i] for i in range(len(live.writes)) if done >> i & 1 and live.writes[i] >= 0} | {0}
    return sum([live.sizes[storage] for storage in written if live.readers[storage] & ~done])


def _steps(
    live: Liveness, users: list[int], last: list[int], start: int, done: int, held: int, peak: int
) -> list[tuple[int, ...]]:
    """One chain to undo that costs nothing, where there is one; else from each operator of `last` the next chain worth a stop."""
    steps = []
    for index in last:
        chain, free = _chain(live, users, index, start, done, held, peak)
        if free:
            return [chain]
        steps.append(chain)
    return steps


def _chain(
    live: Liveness, users: list[int], index: int, start: int, done: int, held: int, peak: int
) -> tuple[tuple[int, ...], bool]:
    """Operators to undo from `index` on, and whether they cost nothing: within `peak`, and no more than `held` bytes at the end.

    A chain that costs stops after its highest operator among those before the first moment with no more than `held` bytes. To
    stop earlier is useless: as long as what an operator adds and frees does not depend on what else is undone, putting off all
    before the highest one until that one is undone saves bytes meanwhile and raises no moment.
    """
    chain: list[int] = []
    now, highest, length = held, -1, 0
    separate = True
    following = index
    while following >= 0:
        done ^= 1 << following
        now -= live.change(following, done)
        needed = now + live.written(following, done)
        separate = separate and _separate(live, following, done)
        if needed > peak and not separate:
            break
        chain.append(following)
        if separate and needed > highest:
            highest, length = needed, len(chain)
        peak_so_far = max(highest, needed)
        if now <= held:
            if peak_so_far <= peak:
                return tuple(chain), True
            if separate:
                return tuple(chain), False
        needs = live.producers[following]
        separate = separate and not needs & (needs - 1)
        following = next((i for i in range(following - 1, start - 1, -1) if needs >> i & 1 and not users[i] & done), -1)
    return tuple(chain[: max(length, 1)]) or (index,), False


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


def _path(reached: dict[int, tuple[int, int, tuple[int, ...]]], goal: int, first: int) -> list[int]:
    """The operators in the order of execution; the search went backwards."""
    path: list[int] = []
    state = goal
    while state != first:
        _, state, chain = reached[state]
        path += reversed(chain)
    return path
