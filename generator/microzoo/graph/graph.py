"""Graph: operators in execution order over named tensors, with all shapes known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from microzoo.graph.ops import Op, Shape, output_shape


@dataclass(frozen=True)
class Graph:
    """A network. `ops` is a valid execution order; each tensor is written once; `output` is the logits, shape (classes,)."""

    input: str
    input_shape: Shape
    ops: tuple[Op, ...]
    output: str

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Tensor name -> shape without the batch dimension, in the order of writing; the input first."""
        shapes: dict[str, Shape] = {self.input: self.input_shape}
        for op in self.ops:
            assert op.output not in shapes, f"{op.output} is written twice"
            shapes[op.output] = output_shape(op, tuple(shapes[name] for name in op.inputs))
        assert self.output in shapes, f"{self.output} is never written"
        return shapes

    def with_shapes(self, shapes: dict[str, Shape]) -> Graph:
        """Itself, told its `shapes` by who built it, which spares working them out. They must be the ones that it would find."""
        vars(self)["shapes"] = shapes
        return self

    @cached_property
    def last_use(self) -> dict[str, int]:
        """Tensor name -> index of the last operator that reads it; len(ops) for the output, -1 for what nothing reads."""
        last = dict.fromkeys(self.shapes, -1)
        for index, op in enumerate(self.ops):
            for name in op.inputs:
                last[name] = index
        last[self.output] = len(self.ops)
        return last

    def consumers(self, tensor: str) -> tuple[Op, ...]:
        """The operators that read `tensor`, in execution order."""
        return tuple(op for op in self.ops if tensor in op.inputs)

    def reordered(self, order: Iterable[int]) -> Graph:
        """The same network with its operators in another valid order. `order`: indices into `ops`."""
        return Graph(self.input, self.input_shape, tuple(self.ops[index] for index in order), self.output)
