"""The child process that rewrites a .tflite: `python -m microzoo.importer.repack_child SOURCE PLAN TARGET SECONDS`.

SOURCE: a .tflite that `measure.tflite_file` has accepted. PLAN: JSON with "order", indices into its operators, and "offsets", a
number a tensor. TARGET: where the new file goes. SECONDS: of processor time.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from microzoo.measure.runtime_child import limit
from microzoo.measure.tflite_file import OFFLINE_PLAN, printable

PLAN_VERSION = 1


class _Buffer(schema.BufferT):  # type: ignore[misc]
    """A buffer whose data starts at a multiple of 16 bytes, as schema.fbs demands; the generated class packs it anywhere."""

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 - the generated name
        if self.data is None:
            return int(super().Pack(builder))
        content = bytes(self.data)
        builder.StartVector(1, len(content), 16)
        builder.head = builder.Head() - len(content)
        builder.Bytes[builder.Head() : builder.Head() + len(content)] = content
        vector = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))


def rewrite(data: bytes, order: list[int], offsets: list[int]) -> bytes:
    """The file with its operators in `order` and `offsets` as its memory plan, in place of one that it may have."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    (graph,) = model.subgraphs
    if any(tensor.isVariable for tensor in graph.tensors):
        raise ValueError("it holds variables, whose operators cannot be put into another order")
    if any((buffer.offset or 0) > 1 for buffer in model.buffers):
        raise ValueError("its constants lie behind the flatbuffer")
    graph.operators = [graph.operators[index] for index in order]
    words = np.array([PLAN_VERSION, 0, len(offsets), *offsets], "<i4")
    _set_metadata(model, OFFLINE_PLAN, words.tobytes())
    model.buffers = [_aligned(buffer) for buffer in model.buffers]
    builder = flatbuffers.Builder(len(data) + (1 << 16))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _set_metadata(model: Any, name: str, content: bytes) -> None:
    """`content` as the only entry of that name: of several, TFLM obeys the last. A buffer of its own is used again."""
    entries = model.metadata or []
    old = [entry for entry in entries if entry.name in (name, name.encode())]
    model.metadata = [entry for entry in entries if entry not in old]
    others = {0, *(entry.buffer for entry in model.metadata), *(tensor.buffer for tensor in model.subgraphs[0].tensors)}
    own = [entry.buffer for entry in old if entry.buffer not in others]
    for index in own:
        model.buffers[index].data = None
    if own:
        index = own[0]
        model.buffers[index].data = content
    else:
        index = len(model.buffers)
        model.buffers.append(schema.BufferT(data=content))
    model.metadata.append(schema.MetadataT(name=name, buffer=index))


def _aligned(buffer: Any) -> _Buffer:
    content = buffer.data
    return _Buffer(data=None if content is None else np.asarray(bytearray(content), np.uint8).tobytes())


def main(arguments: list[str]) -> None:
    """Rewrite one file within the limits."""
    source, plan, target, seconds = arguments
    limit(int(seconds))
    wanted = json.loads(Path(plan).read_text())
    Path(target).write_bytes(rewrite(Path(source).read_bytes(), wanted["order"], wanted["offsets"]))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Exception as error:  # noqa: BLE001 - a child answers its parent with one line and an exit code
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        sys.exit(printable(f"it cannot be put together again: {first}"))
