"""The order of a file's operators with the least peak: enters the graph as the file states it, leaves indices into its operators.

The search is `cost.order`'s, on bytes by each tensor's own type. Only data decide what may run before what, so a graph with state
(a tensor that is read before it is written) must not come here; `measure.tflite_file` refuses it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from microzoo.cost.liveness import Liveness, liveness
from microzoo.cost.memory import minimum
from microzoo.cost.order import TooManyStatesError
from microzoo.graph.graph import Graph
from microzoo.measure.activations import may_add_in_place, peak_bytes
from microzoo.measure.tflite_file import TfliteModel

MOST_STATES, MOST_OPERATORS = 20_000, 500
"""Sets of executed operators that the search may reach, and operators that it is begun for: seconds. Beyond, the file's own order
is kept."""


def reordered(model: TfliteModel, order: tuple[int, ...]) -> TfliteModel:
    """The same graph with its operators in another order."""
    return replace(model, ops=tuple(model.ops[index] for index in order))


def best_order(model: TfliteModel, *, in_place: bool) -> tuple[int, ...]:
    """The order with the least peak of live bytes, the model's inputs included; the file's own where no other is better.

    in_place: an int8 ADD may write over an operand that dies there and a RESHAPE is a view; else nothing shares bytes. Exact up
    to MOST_STATES, save that several outputs of one operator are taken to live as long as the last of them.
    """
    own = tuple(range(len(model.ops)))
    if not 0 < len(model.ops) <= MOST_OPERATORS:
        return own
    live, first = _liveness(model, in_place)
    try:
        order, peak = minimum(live, MOST_STATES)
    except TooManyStatesError:
        return own
    if peak >= max(live.profile(range(len(live.writes)))):
        return own
    found = tuple(index - first for index in order if index >= first)
    return found if in_place or peak_bytes(reordered(model, found)) < peak_bytes(model) else own


def best_graph_order(graph: Graph) -> Graph:
    """A network of ours in the order with the least peak, with the same bounds."""
    if len(graph.ops) > MOST_OPERATORS:
        return graph
    try:
        return graph.reordered(minimum(liveness(graph, in_place=True), MOST_STATES)[0])
    except TooManyStatesError:
        return graph


def _liveness(model: TfliteModel, in_place: bool) -> tuple[Liveness, int]:
    """The graph as `cost` wants it, and how many operators stand before the first real one.

    Storage 0 is the first input. Each further input is written by an operator without inputs on which all real ones wait: so it
    is live from the start.
    """
    first = len(model.inputs) - 1
    sizes = [model.tensors[tensor].bytes for tensor in model.inputs]
    readers = [0] * len(sizes)
    places = {tensor: (storage, 0) for storage, tensor in enumerate(model.inputs)}  # tensor -> its storage, its producer's bit
    writes = list(range(1, first + 1))
    reads: list[tuple[int, ...]] = [()] * first
    producers, adds = [(1 << index) - 1 for index in range(first)], [False] * first
    waits = (1 << first) - 1
    for index, op in enumerate(model.ops, start=first):
        storages, needs = [], waits
        for tensor in op.inputs:
            if tensor in places:
                storage, producer = places[tensor]
                needs |= producer
                readers[storage] |= 1 << index
                storages += [storage] if storage not in storages else []
        if in_place and op.kind == "RESHAPE" and storages and len(op.outputs) == 1:
            target = storages[0]
            writes.append(-1)
        else:
            target = len(sizes)
            sizes.append(sum(model.tensors[tensor].bytes for tensor in op.outputs))
            readers.append(0)
            writes.append(target)
        places |= dict.fromkeys(op.outputs, (target, 1 << index))
        reads.append(tuple(storages))
        producers.append(needs)
        adds.append(in_place and may_add_in_place(model, op))
    for tensor in model.outputs:
        if tensor in places:
            readers[places[tensor][0]] |= 1 << len(writes)
    assert all(low <= high for low, high in pairwise(target for target in writes if target >= 0))
    return Liveness(tuple(sizes), tuple(writes), tuple(reads), tuple(readers), tuple(producers), tuple(adds)), first
