"""Hand-made corners of the arithmetic and of the memory plan that random networks hit too rarely, or not at all."""

from __future__ import annotations

from functools import lru_cache

from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel

from ..export.networks import (  # noqa: TID252  # tests are no package with a name
    Builder,
    corner_graphs,
    dead_models,
    random_graph,
    random_model,
)


def more_corners() -> dict[str, Graph]:
    """Beside `corner_graphs`: maps of one pixel, one row, one channel; every window and stride; many additions in place."""
    corners: dict[str, Graph] = {}

    b = Builder((1, 1, 7))
    x = b.conv("input", 5, 1)
    x = b.add(x, b.conv(x, 5, 1, relu=False))
    b.dense(b.dense(b.flatten(b.depthwise(x, 1)), 9, relu=True), 3)
    corners["maps of one pixel throughout"] = b.graph()

    b = Builder((1, 31, 3))
    x = b.conv("input", 6, 5, 3, same=True)
    x = b.depthwise(b.pool(x, "avg", 2, 1), 3, 2, same=True, relu=False)
    b.dense(b.flatten(b.pool(x, "max", 3, 2)), 4)
    corners["one row"] = b.graph()

    b = Builder((13, 11, 1))
    x = b.depthwise(b.conv("input", 1, 3, 2), 3, same=True)
    b.dense(b.flatten(b.add(b.pool(x, "avg", 4, 1), b.conv(x, 1, 4))), 1)
    corners["one channel and one class"] = b.graph()

    for window in (2, 4, 6):
        b = Builder((12, 13, 3))
        x = b.pool(b.conv("input", 5, 3, same=True, relu=False), "avg", window)
        b.dense(b.flatten(b.pool(x, "avg", 2, 1)), 3)
        corners[f"average over {window} x {window}, twice"] = b.graph()

    b = Builder((14, 9, 2))
    x = b.conv(b.conv("input", 4, 2, 3), 6, 3, 2, same=True)
    x = b.depthwise(b.depthwise(x, 2, 3, same=True), 1, 2)
    b.dense(b.flatten(x), 5)
    corners["strides beyond the window, that divide nothing"] = b.graph()

    b = Builder((6, 7, 4))
    x = b.pad(b.pad(b.conv("input", 4, 3), (0, 2, 0, 2)), (3, 0, 1, 0))
    b.dense(b.flatten(b.conv(b.pad(x, (0, 0, 0, 0)), 3, 3, 2)), 2)
    corners["pads of pads, and one of nothing"] = b.graph()

    b = Builder((8, 6, 3))
    x = b.conv("input", 8, 3, same=True)
    y, z = b.conv(x, 8, 1, relu=False), b.depthwise(x, 3, same=True)
    b.dense(b.flatten(b.pool(b.add(b.add(x, y), z, relu=True), "avg", 99)), 4)
    corners["branches of three"] = b.graph()

    b = Builder((5, 5, 6))
    x = b.conv("input", 6, 3, same=True)
    for _ in range(6):
        x = b.add(x, b.conv(x, 6, 1, relu=False), relu=True)
    b.dense(b.flatten(x), 3)
    corners["six additions in place"] = b.graph()

    b = Builder((4, 4, 1))
    x = b.dense(b.flatten("input"), 16, relu=True)
    b.dense(b.add(x, b.dense(x, 16)), 2)
    corners["dense layers only, with an addition"] = b.graph()

    b = Builder((3, 3, 64))
    x = b.conv(b.depthwise("input", 3), 130, 1)
    b.dense(b.flatten(x), 200)
    corners["more channels than pixels"] = b.graph()

    b = Builder((15, 15, 2))
    x = b.conv("input", 3, 15, same=True)
    b.dense(b.flatten(b.pool(b.conv(x, 2, 15), "max", 1)), 2)
    corners["a kernel as large as the map"] = b.graph()
    return corners


@lru_cache(maxsize=1)
def corner_models(count: int = 60) -> dict[str, IntegerModel]:
    """Name -> model: all corners, dead layers, and `count` random networks of every operator, which the space need not hold."""
    graphs = corner_graphs() | more_corners() | {f"seed {seed}": random_graph(seed) for seed in range(count)}
    return {name: random_model(graph, index) for index, (name, graph) in enumerate(graphs.items())} | dead_models()
