"""Bytes of live activations over the operators of a .tflite, by four definitions, from the file alone.

A tensor is live from the operator that writes it (the model's inputs: from the first operator) to the last one that reads it (the
model's outputs: to the end). Constants live in flash and are not counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate, pairwise

from microzoo.errors import MeasurementError
from microzoo.measure.tflite_file import TfliteModel, TfliteOp

MAX_SPANS = 5_000_000
"""Operators times tensors live: a bound on time and memory that no sound model of a microcontroller comes near."""


def lifetimes(model: TfliteModel) -> dict[int, tuple[int, int]]:
    """Activation tensor -> indices of the first and the last operator at which it is live."""
    end = max(len(model.ops) - 1, 0)
    spans = dict.fromkeys(model.inputs, (0, 0))
    for index, op in enumerate(model.ops):
        spans |= dict.fromkeys(op.outputs, (index, index))
        for tensor in op.inputs:
            if tensor in spans:
                spans[tensor] = (spans[tensor][0], index)
    for tensor in model.outputs:
        if tensor in spans:
            spans[tensor] = (spans[tensor][0], end)
    return spans


def live_at(model: TfliteModel) -> tuple[tuple[int, ...], ...]:
    """For every operator the tensors live while it runs: its inputs, its outputs and what is kept for later."""
    live: list[list[int]] = [[] for _ in model.ops]
    spans = lifetimes(model)
    check_spans(model, spans)
    for tensor, (first, last) in spans.items():
        for index in range(first, min(last, len(model.ops) - 1) + 1):
            live[index].append(tensor)
    return tuple(tuple(tensors) for tensors in live)


def check_spans(model: TfliteModel, spans: dict[int, tuple[int, int]]) -> None:
    """Raises MeasurementError where what is live at each operator is too much to be listed."""
    total = sum(last - first + 1 for first, last in spans.values())
    if total > MAX_SPANS:
        raise MeasurementError(
            f"{len(spans):,} tensors over {len(model.ops):,} operators are live for too long to be placed: {total:,} "
            f"of tensors times operators, at most {MAX_SPANS:,}",
            "give a model with fewer branches",
        )


def live_totals(model: TfliteModel) -> tuple[int, ...]:
    """For every operator the bytes of all tensors live while it runs, nothing in place; in time linear in the file's size."""
    steps = [0] * (len(model.ops) + 1)
    for tensor, (first, last) in lifetimes(model).items():
        steps[first] += model.tensors[tensor].bytes
        steps[min(last + 1, len(model.ops))] -= model.tensors[tensor].bytes
    return tuple(accumulate(steps[:-1]))


def peak_bytes(model: TfliteModel) -> int:
    """Live peak in file order: the model's input included, nothing in place."""
    return max(live_totals(model), default=0)


def paper_ram_bytes(model: TfliteModel) -> int:
    """Live peak as the µNAS paper counts it: the model's input excluded, add in place (Liberis et al. 2021, section 3.3).

    An ADD writes over an operand that dies there, and a RESHAPE is another view of its input: neither takes bytes of its own.
    """
    spans = lifetimes(model)
    root = {tensor: tensor for tensor in spans}
    for index, op in enumerate(model.ops):
        for tensor in op.inputs:
            if tensor in spans and (
                op.kind == "RESHAPE" or (op.kind == "ADD" and _may_hold_sum(model, spans, root, tensor, index))
            ):
                root[op.outputs[0]] = root[tensor]
                break

    def held(live: Iterable[int]) -> int:
        owners = {root[tensor] for tensor in live}.difference(model.inputs)
        return sum(model.tensors[tensor].bytes for tensor in owners)

    return max((held(live) for live in live_at(model)), default=0)


def _may_hold_sum(model: TfliteModel, spans: dict[int, tuple[int, int]], root: dict[int, int], operand: int, index: int) -> bool:
    """Whether ADD `index` may write over `operand`: of the sum's size, not the model's input, and no view of it is read later."""
    sum_bytes = model.tensors[model.ops[index].outputs[0]].bytes
    views = [tensor for tensor in spans if root[tensor] == root[operand] and spans[tensor][0] < index]
    dies = all(spans[tensor][1] <= index for tensor in views)
    return dies and root[operand] not in model.inputs and model.tensors[operand].bytes == sum_bytes


def may_add_in_place(model: TfliteModel, op: TfliteOp) -> bool:
    """Whether `op` is an addition that any kernel computes element by element: int8 throughout, no broadcasting, no constant."""
    if op.kind != "ADD":
        return False
    result, operands = model.tensors[op.outputs[0]], [model.tensors[tensor] for tensor in op.inputs if tensor >= 0]
    return len(operands) == 2 and all(
        each.dtype == "INT8" and each.shape == result.shape and not each.constant for each in (result, *operands)
    )


def planned_bytes(model: TfliteModel) -> int | None:
    """Bytes of the activation arena as the file's own memory plan places it: the furthest end of a live tensor.

    None where the file carries no plan or leaves a live tensor to the runtime. Raises MeasurementError where the plan lets two
    live tensors overlap other than by an ADD or a RESHAPE in place.
    """
    spans, offsets = lifetimes(model), model.offline_offsets
    if offsets is None or any(offsets[tensor] < 0 for tensor in spans):
        return None
    roots = _roots(model)
    for index, live in enumerate(live_at(model)):
        _check_overlaps(model, offsets, spans, roots, index, live)
    return max((offsets[tensor] + model.tensors[tensor].bytes for tensor in spans), default=0)


def live_bytes(model: TfliteModel) -> tuple[int, ...]:
    """For every operator the bytes of live activations; where the file has a memory plan, bytes shared in place count once."""
    if planned_bytes(model) is None:
        return live_totals(model)
    assert model.offline_offsets is not None
    return tuple(
        _covered((model.offline_offsets[tensor], model.offline_offsets[tensor] + model.tensors[tensor].bytes) for tensor in live)
        for live in live_at(model)
    )


def _covered(intervals: Iterable[tuple[int, int]]) -> int:
    """Length of the union of half-open intervals."""
    total, reached = 0, 0
    for start, stop in sorted(intervals):
        total += max(stop - max(start, reached), 0)
        reached = max(reached, stop)
    return total


def _roots(model: TfliteModel) -> dict[int, int]:
    """Activation tensor -> the one that it is a view of by RESHAPE, itself where it is none."""
    roots = {tensor: tensor for tensor in lifetimes(model)}
    for op in model.ops:
        if op.kind == "RESHAPE" and op.inputs and op.inputs[0] in roots:
            roots[op.outputs[0]] = roots[op.inputs[0]]
    return roots


def _check_overlaps(
    model: TfliteModel,
    offsets: tuple[int, ...],
    spans: dict[int, tuple[int, int]],
    roots: dict[int, int],
    index: int,
    live: tuple[int, ...],
) -> None:
    """Live tensors at operator `index` share no bytes, save views of one tensor, and a sum with an operand that dies there."""
    op = model.ops[index]
    placed = sorted((offsets[tensor], tensor) for tensor in live)
    for (start, tensor), (other_start, other) in pairwise(placed):
        if other_start >= start + model.tensors[tensor].bytes:
            continue
        same_place = start == other_start and model.tensors[tensor].bytes == model.tensors[other].bytes
        view = roots[tensor] == roots[other]
        sum_in_place = op.kind == "ADD" and any(
            result in op.outputs
            and roots[dying] in {roots.get(operand) for operand in op.inputs}
            and all(spans[alias][1] <= index for alias in live if roots[alias] == roots[dying])
            for result, dying in ((tensor, other), (other, tensor))
        )
        if not (same_place and (view or sum_in_place)):
            names = f'"{model.tensors[tensor].name}" and "{model.tensors[other].name}"'
            raise MeasurementError(f"the memory plan overlaps {names}, both live at operator {index} ({op.kind})")
