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
programme over the sets of operators that have run. See `minimum` and `cost.order` for what keeps it small.
"""

from __future__ import annotations

from math import inf, prod

from microzoo.cost.liveness import Liveness, liveness
from microzoo.cost.order import search
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

    The graph's own order where that needs no more than the operator does that needs most by itself.
    """
    live = liveness(graph, in_place=in_place)
    return minimum(live if count_input else live.without_input())


def minimum(live: Liveness, most: float = inf) -> tuple[tuple[int, ...], int]:
    """The best order and its peak. most: see `cost.order.search`.

    Operators that are comparable with all others cut the graph into segments that are solved one by one; a chain is all cuts. A
    segment is searched only where its own order exceeds what is needed anyway.
    """
    order, profile, _ = _solve(live, live.least(), most)
    return order, max(profile)


def minima(live: Liveness) -> tuple[tuple[int, ...], int, int]:
    """The best order, its peak, and the least peak where the network's input takes no bytes: what `minimum` gives for `live` and
    for `live.without_input()`, for less work.

    A segment whose least peak is known loses at most the bytes of the input, and none where the input is dead.
    """
    least = live.least()
    order, profile, known = _solve(live, least)
    count, size, readers = len(order), live.sizes[0], live.readers[0]
    input_ends = count if readers >> count else max([place for place, index in enumerate(order) if readers >> index & 1])
    without = [needed - size if place <= input_ends else needed for place, needed in enumerate(profile)]
    peak = max([needed - size if 0 in reads else needed for needed, reads in zip(least, live.reads, strict=True)])
    if max(without) > peak:
        bare = live.without_input()
        for start, stop in _segments(live):
            needed = max(without[start:stop])
            floor = max(peak, known.get(start, 0) - (size if readers >> start else 0))
            if needed > floor:
                needed = search(bare, start, stop, floor)[1]
            peak = max(peak, needed)
    return order, max(profile), peak


def _solve(live: Liveness, least: list[int], most: float = inf) -> tuple[tuple[int, ...], list[int], dict[int, int]]:
    """The best order, its profile, and the least peak by start of each segment that needs more than all before it and `least`."""
    own_order = tuple(range(len(live.writes)))
    own, peak = live.profile(own_order), max(least)
    if max(own) <= peak:
        return own_order, own, {}
    order: list[int] = []
    known: dict[int, int] = {}
    for start, stop in _segments(live):
        segment = list(range(start, stop))
        needed = max(own[start:stop])
        if needed > peak:
            segment, needed = search(live, start, stop, peak, most)
        if needed > peak:
            known[start] = peak = needed
        order += segment
    return tuple(order), own if order == list(own_order) else live.profile(order), known


def _segments(live: Liveness) -> list[tuple[int, int]]:
    """Ranges [start, stop) of operators; all of a range run before the next, in any topological order.

    A range ends with an operator that is comparable with all others: all before it have been read by one up to it, and all after
    it read one from it on.
    """
    count = len(live.producers)
    earliest_read = [count] * (count + 1)  # the least, over the operators from here on, of the last one that each reads, plus 1
    for index in reversed(range(count)):
        earliest_read[index] = min(earliest_read[index + 1], live.producers[index].bit_length())
    stops, read = [], 0
    for index, needs in enumerate(live.producers):
        read |= needs
        if read == (1 << index) - 1 and earliest_read[index + 1] > index:
            stops.append(index + 1)
    if not stops or stops[-1] != count:
        stops.append(count)
    return list(zip([0, *stops], stops, strict=False))
