"""An .onnx in QDQ format in, as onnxruntime's `quantize_static` and this project write it, an IntegerModel out.

Weights int8, symmetric, per tensor or per output channel; activations int8 or uint8 per tensor (a uint8 is the same byte minus
128, and so is its zero point); biases int32 or float32. Maps become channels last. onnxruntime rounds otherwise than
TFLM, this project's golden arithmetic: by at most one step a layer, so the two are alike and not equal.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from microzoo.errors import ImportedModelError
from microzoo.graph.integer import IntegerWeights, Quantisation
from microzoo.graph.ops import Conv, Depthwise, MaxPool, Pads, same_padding
from microzoo.importer.builder import MALFORMED
from microzoo.importer.qdq import Pending, Tensors, Value
from microzoo.importer.tflite import Imported
from microzoo.measure.onnx_file import OnnxGraph, OnnxNode, read_onnx

SUPPORTED = (
    "Add", "AveragePool", "Clip", "Conv", "DequantizeLinear", "Dropout", "Flatten", "Gemm", "GlobalAveragePool", "Identity",
    "MatMul", "MaxPool", "Pad", "QuantizeLinear", "ReduceMean of height and width", "Relu", "Reshape", "Squeeze",
    "Softmax at the end with --drop-softmax",
)  # fmt: skip
ROUNDING = "onnxruntime rounds otherwise: its outputs differ from these by at most one step a layer"
LAYOUT = "maps are channels last here, also the input; in the file they are channels first"
CHANNELS_LAST = [0, 2, 3, 1]


def import_onnx(path: Path, *, drop_softmax: bool = False) -> Imported:
    """The file as an IntegerModel. drop_softmax: leave out a softmax at the end, logits come out then.

    Raises MeasurementError where it is no sound .onnx, ImportedModelError where it holds what cannot be taken over.
    """
    return import_graph(read_onnx(path, values=True), str(path), drop_softmax=drop_softmax)


def import_graph(graph: OnnxGraph, where: str, *, drop_softmax: bool = False) -> Imported:
    """What `import_onnx` gives, of a graph that was read with its values. where: the file's name, for errors."""
    return _Importer(graph, where, drop_softmax).run()


class _Importer(Tensors):
    """Walks the nodes of one file; used once."""

    def __init__(self, graph: OnnxGraph, where: str, drop_softmax: bool) -> None:
        super().__init__(graph, where)
        self.where, self.drop_softmax = where, drop_softmax
        self.notes: list[str] = []
        self.rules: dict[str, Callable[[OnnxNode], None]] = {
            "QuantizeLinear": self.quantise,
            "DequantizeLinear": self.dequantise,
            "Conv": self.conv,
            "Gemm": self.gemm,
            "MatMul": self.gemm,
            "Add": self.add,
            "MaxPool": self.max_pool,
            "AveragePool": self.average_pool,
            "GlobalAveragePool": self.average_pool,
            "ReduceMean": self.average_pool,
            "Pad": self.pad,
            "Relu": self.activation,
            "Clip": self.activation,
            "Softmax": self.softmax,
            "Transpose": self.transpose,
            **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Identity", "Dropout"), self.view),
        }

    def run(self) -> Imported:
        try:
            return self.walk()
        except MALFORMED as error:
            raise self.builder.malformed(error) from error

    def walk(self) -> Imported:
        if len(self.graph.inputs) != 1 or len(self.graph.outputs) != 1:
            ends = f"{len(self.graph.inputs)} inputs and {len(self.graph.outputs)} outputs"
            raise ImportedModelError(f"{self.where}: it has {ends}", "one of each is supported")
        for index, node in enumerate(self.graph.nodes):
            self.builder.place = f'{self.where}: operator {index} ({node.kind}, "{node.outputs[0]}")'
            rule = self.rules.get(node.kind)
            if rule is None:
                raise self.builder.refuse("this operator is not supported", f"supported are {', '.join(SUPPORTED)}")
            rule(node)
            self.check_shape(node.outputs[0])
        self.builder.place = ""
        (source,), (output,) = self.graph.inputs, self.graph.outputs
        if output not in self.values:
            raise ImportedModelError(
                f'{self.where}: its output "{output}" is not quantised',
                "quantise it with onnxruntime's quantize_static, QDQ format",
            )
        result = self.values[output]
        shape = self.builder.shapes[result.name]
        if len(shape) == 3 and prod(shape[:2]) > 1 and shape[2] > 1 and not result.moved:
            self.notes.append(f"the output is channels last, {shape}; in the file it is channels first")
        if len(self.graph.shapes[source]) == 4:
            self.notes.append(LAYOUT)
        for end, name in (("input", source), ("output", output)):
            if self.graph.dtypes[name] == "FLOAT32":
                self.notes.append(f"the file's {end} is float32; here it is int8 with the scale and zero point of the header")
            elif self.graph.dtypes[name] == "UINT8":
                self.notes.append(f"the file's {end} is uint8; here it is int8, which is the same byte minus 128")
        return Imported(self.builder.finish(result.name), (*self.notes, ROUNDING))

    def activation(self, node: OnnxNode) -> None:
        waiting = self.pending.get(node.inputs[0])
        if waiting is None or waiting.activation != "NONE":
            raise self.builder.refuse("it does not follow a convolution, a product or a sum directly")
        kind = "RELU"
        if node.kind == "Clip":
            ends = [self.constants.get(name) for name in node.inputs[1:] if name]
            bounds: tuple[float, ...] = tuple(float(each.values) for each in ends if each is not None and each.values.size == 1)
            bounds = bounds or (float(node.attributes.get("min", -np.inf)), float(node.attributes.get("max", np.inf)))
            if len(node.inputs) == 2:
                bounds = (*bounds, np.inf)
            known = {(0.0, 6.0): "RELU6", (-1.0, 1.0): "RELU_N1_TO_1", (0.0, np.inf): "RELU"}
            if bounds not in known:
                raise self.builder.refuse(f"it clips to {bounds}", f"known are {', '.join(map(str, known))}")
            kind = known[bounds]
        self.pending[node.outputs[0]] = Pending(waiting.make, kind, waiting.moved)

    def geometry(self, node: OnnxNode, kernel: tuple[int, int], shape: tuple[int, ...]) -> tuple[tuple[int, int], Pads]:
        """Stride and padding."""
        about = node.attributes
        stride = tuple(about.get("strides", [1, 1]))
        if len(shape) != 3 or len(stride) != 2 or any(each != 1 for each in about.get("dilations", [1, 1])):
            raise self.builder.refuse("it must have two dimensions and no dilation")
        if about.get("ceil_mode", 0):
            raise self.builder.refuse("ceil_mode is not supported")
        auto = about.get("auto_pad", "NOTSET")
        if auto in ("SAME_UPPER", "VALID"):
            same = same_padding(shape[0], shape[1], kernel, (stride[0], stride[1]))
            return (stride[0], stride[1]), same if auto != "VALID" else (0, 0, 0, 0)
        if auto != "NOTSET":
            raise self.builder.refuse(f"its auto_pad is {auto}; SAME_UPPER and VALID are supported")
        top, left, bottom, right = about.get("pads", [0, 0, 0, 0])
        if min(top, left, bottom, right) < 0:
            raise self.builder.refuse("it has negative padding")
        return (stride[0], stride[1]), (top, bottom, left, right)

    def conv(self, node: OnnxNode) -> None:
        source, (weight, scales) = self.map(node.inputs[0]), self.weights(node, 0)
        shape, groups = self.builder.shapes[source], int(node.attributes.get("group", 1))
        if weight.ndim != 4 or len(shape) != 3 or weight.shape[1] * groups != shape[2]:
            raise self.builder.refuse(
                f"weights {weight.shape} in {groups} groups for an input {shape}; two dimensions are supported"
            )
        if groups not in (1, shape[2]) or (groups > 1 and len(weight) != groups):
            raise self.builder.refuse(f"{groups} groups; supported are 1, and as many as channels in and out")
        kernel = (weight.shape[2], weight.shape[3])
        stride, padding = self.geometry(node, kernel, shape)
        bias, each = self.bias(node, source, scales, len(weight)), np.broadcast_to(scales, len(weight)).copy()
        options: dict[str, Any] = {"kernel": kernel, "stride": stride, "padding": padding}
        if groups > 1:
            layer = IntegerWeights(np.ascontiguousarray(weight[:, 0].transpose(1, 2, 0)), bias, each)
            self.put(node, lambda to, relu: self.builder.weighted(Depthwise, source, to, layer, relu=relu, **options))
        else:
            layer = IntegerWeights(np.ascontiguousarray(weight.transpose(0, 2, 3, 1)), bias, each)
            self.put(
                node, lambda to, relu: self.builder.weighted(Conv, source, to, layer, relu=relu, filters=len(weight), **options)
            )

    def gemm(self, node: OnnxNode) -> None:
        value, about = self.value(node.inputs[0]), node.attributes
        if about.get("transA", 0) or about.get("alpha", 1.0) != 1.0 or about.get("beta", 1.0) != 1.0:
            raise self.builder.refuse("transA, alpha and beta must be 0, 1 and 1")
        turned = bool(about.get("transB", 0))
        weight, scales = self.weights(node, 0 if turned else 1)
        if weight.ndim != 2 or len(self.graph.shapes[node.inputs[0]]) != 2:
            raise self.builder.refuse("only products with a matrix of weights after flattening are supported")
        weight = weight if turned else weight.T
        map_name = self.builder.maps.get(value.name, value.name)
        shape = self.builder.shapes[map_name]
        if prod(shape) != weight.shape[1]:
            raise self.builder.refuse(f"weights {weight.shape} for an input {shape}")
        if len(shape) == 3 and not value.moved:
            height, width, channels = shape
            weight = weight.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(len(weight), -1)
        bias, contiguous = self.bias(node, value.name, scales, len(weight)), np.ascontiguousarray(weight)
        self.put(node, lambda to, relu: self.builder.dense(value.name, to, IntegerWeights(contiguous, bias, scales), relu))

    def add(self, node: OnnxNode) -> None:
        if any(name in self.constants for name in node.inputs):
            raise self.builder.refuse("it adds a constant", "fold it into a bias before quantising")
        left, right = (self.value(name) for name in node.inputs[:2])
        shapes = [self.graph.shapes[name] for name in (*node.inputs[:2], node.outputs[0])]
        if shapes.count(shapes[0]) != 3:
            raise self.builder.refuse(f"it adds shapes {shapes[0]} and {shapes[1]}", "only equal shapes are supported")
        if self.reordered(left) != self.reordered(right):
            raise self.builder.refuse(
                "it adds the elements of a map, which are channels last here, to some that stand in the file's own order",
                "add maps of one layout, or flat tensors that products made",
            )
        moved = left.moved or right.moved
        self.put(node, lambda to, relu: self.builder.add(left.name, right.name, to, relu), moved=moved)

    def max_pool(self, node: OnnxNode) -> None:
        source = self.map(node.inputs[0])
        kernel, stride = self.pool_window(node, source)
        self.values[node.outputs[0]] = Value(self.builder.pool(MaxPool, source, kernel, stride))

    def pool_window(self, node: OnnxNode, source: str) -> tuple[tuple[int, int], tuple[int, int]]:
        shape, size = self.builder.shapes[source], node.attributes.get("kernel_shape", [])
        if len(size) != 2 or len(shape) != 3 or len(node.outputs) != 1:
            raise self.builder.refuse("it must have two dimensions and one output")
        stride, padding = self.geometry(node, (size[0], size[1]), shape)
        if any(padding):
            raise self.builder.refuse(f"its padding is {padding}; pooling is supported over whole windows only")
        return (size[0], size[1]), stride

    def average_pool(self, node: OnnxNode) -> None:
        """A mean at its input's scale is AvgPool; at another one a depthwise convolution of ones, its weight scale 1 / count."""
        source = self.map(node.inputs[0])
        shape = self.builder.shapes[source]
        if node.kind == "AveragePool":
            kernel, stride = self.pool_window(node, source)
        else:
            if node.kind == "ReduceMean" and sorted(axis % 4 for axis in self.axes(node)) != [2, 3]:
                raise self.builder.refuse(f"its axes are {self.axes(node)}; height and width together are supported")
            if len(shape) != 3 or len(self.graph.shapes[node.inputs[0]]) != 4:
                raise self.builder.refuse("it must read a map of two dimensions")
            kernel, stride = (shape[0], shape[1]), (1, 1)

        def make(to: Quantisation, relu: bool) -> str:
            pool = to == self.builder.tensors[source] and (not relu or to.zero_point == -128)
            return self.builder.mean(source, kernel, stride, to, relu=relu, pool=pool)

        self.put(node, make)

    def axes(self, node: OnnxNode) -> list[int]:
        given = self.constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
        return [int(axis) for axis in (given.values.reshape(-1) if given is not None else node.attributes.get("axes", []))]

    def pad(self, node: OnnxNode) -> None:
        source, given = self.map(node.inputs[0]), self.constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
        fill = self.constants.get(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
        margins = given.values.reshape(-1).tolist() if given is not None else []
        if node.attributes.get("mode", "constant") != "constant" or (fill is not None and fill.values.any()):
            raise self.builder.refuse("only padding with zeros is supported")
        if len(margins) != 8 or any(margins[place] for place in (0, 1, 4, 5)) or min(margins) < 0 or len(node.inputs) > 3:
            raise self.builder.refuse("its paddings must be constant, of height and width, and not negative")
        self.values[node.outputs[0]] = Value(self.builder.pad(source, (margins[2], margins[6], margins[3], margins[7])))

    def transpose(self, node: OnnxNode) -> None:
        value = self.value(node.inputs[0])
        if node.attributes.get("perm") != CHANNELS_LAST or value.moved:
            raise self.builder.refuse(f"it permutes {node.attributes.get('perm')}; to channels last is supported, once")
        self.values[node.outputs[0]] = Value(value.name, moved=True)

    def view(self, node: OnnxNode) -> None:
        """Reshapes that flatten, and what changes nothing."""
        source, result = (self.graph.shapes[name] for name in (node.inputs[0], node.outputs[0]))
        flat = len(result) == 2 and result[0] == 1
        if source != result and not flat:
            raise self.builder.refuse(f"it reshapes {source} to {result}; only flattening is supported")
        if node.inputs[0] in self.pending:
            waiting = self.pending[node.inputs[0]]
            self.pending[node.outputs[0]] = waiting
            return
        self.values[node.outputs[0]] = self.value(node.inputs[0])

    def softmax(self, node: OnnxNode) -> None:
        if not self.drop_softmax:
            raise self.builder.refuse(
                "a softmax has no int8 kernel here", "--drop-softmax leaves it out: logits in the same order"
            )
        name = node.outputs[0]
        for reader in self.graph.nodes:
            if name in reader.inputs:
                if reader.kind not in ("QuantizeLinear", "DequantizeLinear"):
                    raise self.builder.refuse(f"{reader.kind} reads the softmax; it must be at the end")
                name = reader.outputs[0]
        if name not in self.graph.outputs:
            raise self.builder.refuse("it must be at the end")
        self.values[node.outputs[0]] = self.value(node.inputs[0])
        self.after_softmax.add(node.outputs[0])
        self.notes.append("the softmax at the end is left out: the output is logits, the largest one is the same")
