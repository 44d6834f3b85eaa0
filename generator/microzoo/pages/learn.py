"""Drawings of the search space and of the search, for the page that explains them. The program itself lowers the example."""

from __future__ import annotations

from collections import Counter

import numpy as np
from markupsafe import Markup

from microzoo.catalog.card import LayerRow
from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Op, Pad
from microzoo.pages.diagram import architecture as network
from microzoo.pages.flow import Box, arrow
from microzoo.pages.svg import drawing, element, text
from microzoo.pages.text import shape
from microzoo.space.architecture import Architecture, Block, Layer
from microzoo.space.lowering import lower
from microzoo.space.morphisms import morphisms
from microzoo.space.sampling import MICROZOO_SPACE
from microzoo.spec.models import SearchSpec

INPUT_SHAPE, CLASSES = (28, 28, 1), 10
EXAMPLE = Architecture(
    (
        Block((Layer("conv", kernel=3, filters=16, stride=2, padding="same"),)),
        Block((Layer("pointwise", filters=24), Layer("depthwise", kernel=3, padding="same"))),
        Block((Layer("conv", kernel=3, filters=24, padding="same"),), parallel=True),
        Block((), parallel=True),
    ),
    global_pool=True,
)
"""Three branches beside each other: two layers, one layer, and a shortcut."""
KINDS: dict[type, str] = {
    Conv: "CONV_2D", Depthwise: "DEPTHWISE_CONV_2D", Dense: "FULLY_CONNECTED", MaxPool: "MAX_POOL_2D", AvgPool: "AVERAGE_POOL_2D",
    Add: "ADD", Pad: "PAD", Flatten: "RESHAPE",
}  # fmt: skip
BLOCK_WIDTH, GAP, STAGE_GAP, EDGE = 196.0, 24.0, 34.0, 8.0


def fragments() -> dict[str, str]:
    """Name -> HTML, for written pages that say `<!-- zoo:NAME -->`."""
    return {
        "genotype": _scrolled("The genotype", genotype(EXAMPLE)),
        "lowering": _scrolled("The lowered network", lowered(EXAMPLE)),
        "evolution": _scrolled("The search", evolution(SearchSpec())),
        "moves": moves(EXAMPLE),
    }


def genotype(example: Architecture) -> Markup:
    """Blocks as the search knows them: those beside each other read the same and are added."""
    stages: list[list[tuple[int, Block]]] = []
    for number, block in enumerate(example.blocks, 1):
        if block.parallel and stages:
            stages[-1].append((number, block))
        else:
            stages.append([(number, block)])
    most = max(map(len, stages))
    width = most * BLOCK_WIDTH + (most - 1) * GAP + 2 * EDGE
    centre, y = width / 2, EDGE
    above = [Box(centre - BLOCK_WIDTH / 2, y, BLOCK_WIDTH, ("input", f"{shape(INPUT_SHAPE)}, int8"), "mz-io")]
    boxes, edges = [*above], []
    for stage in stages:
        y = max(box.bottom for box in above) + STAGE_GAP
        left = centre - (len(stage) * BLOCK_WIDTH + (len(stage) - 1) * GAP) / 2
        row = [
            Box(left + at * (BLOCK_WIDTH + GAP), y, BLOCK_WIDTH, _block_lines(number, block), _family(block))
            for at, (number, block) in enumerate(stage)
        ]
        edges += _joined(above, row)
        boxes += row
        above = row
    head = "average over the whole map" if example.global_pool else "no pooling"
    if example.pool is not None and not example.global_pool:
        head = f"{example.pool.kind} pooling, {example.pool.size}×{example.pool.size}"
    lines = ("head", head, *(f"dense, {units} units, ReLU" for units in example.dense), f"classifier, {CLASSES} classes")
    last = Box(centre - BLOCK_WIDTH / 2, max(box.bottom for box in above) + STAGE_GAP, BLOCK_WIDTH, lines, "mz-weighted")
    edges += _joined(above, [last])
    words = f"{len(example.blocks)} blocks in {len(stages)} stages; blocks beside each other read the same map and are added."
    parts = [*edges, *(box.drawn() for box in [*boxes, last])]
    return drawing(width, last.bottom + EDGE, "A genotype", words, *parts, class_="mz-flow")


def lowered(example: Architecture) -> Markup:
    """The network that the genotype stands for, from the program's own lowering."""
    graph = lower(example, INPUT_SHAPE, CLASSES)
    return network(
        [_row(op, graph) for op in graph.ops], INPUT_SHAPE, title="The network that this genotype becomes", linked=False
    )


def moves(example: Architecture) -> str:
    """The example's legal moves by name, as a table row each, from the program's own list."""
    counts = Counter(name for name, _ in morphisms(np.random.default_rng(0), example, MICROZOO_SPACE))
    rows = [
        element("tr", element("th", name, scope="row"), element("td", str(count), class_="mz-number"))
        for name, count in sorted(counts.items())
    ]
    head = element(
        "tr", element("th", "Morphism", scope="col"), element("th", "Legal moves of the example", scope="col", class_="mz-number")
    )
    total = element("tr", element("th", "in all", scope="row"), element("td", str(counts.total()), class_="mz-number"))
    table = element("table", element("thead", head), element("tbody", *rows), element("tfoot", total), class_="mz-table")
    return str(element("details", element("summary", f"The {counts.total()} moves that are legal for this example"), table))


def evolution(search: SearchSpec) -> Markup:
    """The loop of the search with its gate, rungs and promotion, and what follows it. search: for the numbers."""
    wide, left, middle, right = 232.0, 8.0, 284.0, 560.0
    widths = len(search.reference_widths)
    first = Box(
        left, 8, wide, ("First generation", f"reference designs at {widths} widths,", f"{search.random_parents} random networks")
    )
    gate = Box(middle, 8, wide, ("Gate", "RAM, flash, compute as predicted:", "what is over is never trained"), "mz-io")
    short = Box(
        right,
        8,
        wide,
        ("Training, rung 0", f"{search.epochs:g} epochs, pruned meanwhile,", "judged on validation"),
        "mz-weighted",
    )
    morph = Box(left, 128, wide, ("Morphism", "one change, all equally likely;", "what was seen is drawn again"))
    duel = Box(
        middle, 128, wide, ("Tournament", f"{search.tournament} drawn, weights drawn:", "the best under them is the parent")
    )
    people = Box(right, 128, wide, ("Population", f"the newest {search.population};", "the oldest leaves"))
    finals = Box(
        left, 248, wide, ("Finals", "some of the front, trained in full", "from several seeds, then int8"), "mz-weighted"
    )
    front = Box(middle, 248, wide, ("Front", "of all that fits, once evaluations", "or time are spent"))
    rungs = Box(
        right,
        248,
        wide,
        ("Training, higher rungs", f"of what finished, 1 in {search.reduction} rises;", f"{search.reduction} times as long"),
        "mz-weighted",
    )
    entry = Box(
        left,
        360,
        2 * wide + 44,
        (
            "Entry",
            "best mean int8 accuracy on validation; its best seed is exported,",
            "measured on the files, and published if it fits",
        ),
        "mz-io",
    )
    boxes = (first, gate, short, morph, duel, people, finals, front, rungs, entry)
    turn = (morph.y + gate.bottom) / 2
    fall = (front.y + duel.bottom) / 2
    arrows = [
        arrow([(first.x + wide, first.middle), (gate.x, gate.middle)]),
        arrow([(gate.x + wide, gate.middle), (short.x, short.middle)]),
        arrow([(short.centre, short.bottom), (people.centre, people.y)]),
        arrow([(people.x, people.middle), (duel.x + wide, duel.middle)]),
        arrow([(duel.x, duel.middle), (morph.x + wide, morph.middle)]),
        arrow([(morph.centre, morph.y), (morph.centre, turn), (gate.centre, turn), (gate.centre, gate.bottom)]),
        arrow([(people.centre + 20, people.bottom), (people.centre + 20, rungs.y)]),
        arrow([(people.centre + 50, rungs.y), (people.centre + 50, people.bottom)]),
        arrow([(people.x + 30, people.bottom), (people.x + 30, fall), (front.centre, fall), (front.centre, front.y)]),
        arrow([(front.x, front.middle), (finals.x + wide, finals.middle)]),
        arrow([(finals.centre, finals.bottom), (finals.centre, entry.y)]),
    ]
    note = text(people.centre + 12, fall + 4, "promotion", "mz-box-line", "end")
    words = (
        "Candidates pass the gate, are trained briefly and join the population; a tournament chooses a parent, and a morphism"
        " makes its child, which goes to the gate. A share of what finished is trained longer. The front's best are trained in"
        " full; one becomes the entry."
    )
    return drawing(
        right + wide + 8,
        entry.bottom + 8,
        "How the search works",
        words,
        *arrows,
        *(box.drawn() for box in boxes),
        note,
        class_="mz-flow",
    )


def _block_lines(number: int, block: Block) -> tuple[str, ...]:
    title = f"block {number}, {'parallel' if block.parallel else 'serial'}"
    return (title, *map(_layer_words, block.layers)) if block.layers else (title, "no layers: a shortcut")


def _family(block: Block) -> str:
    return "mz-weighted" if block.layers else "mz-plain"


def _layer_words(layer: Layer) -> str:
    kernel = "1×1" if layer.kind == "pointwise" else f"{layer.kernel}×{layer.kernel}"
    width = "" if layer.kind == "depthwise" else f", {layer.filters} filters"
    stride = f" /{layer.stride}" if layer.stride != 1 and layer.kind != "pointwise" else ""
    return f"{kernel} {'depthwise' if layer.kind == 'depthwise' else 'convolution'}{stride}{width}"


def _joined(above: list[Box], below: list[Box]) -> list[Markup]:
    """Arrows from every box above to every box below, through one line between them."""
    level = max(box.bottom for box in above) + STAGE_GAP / 2
    centre = (min(box.x for box in above) + max(box.x + box.width for box in above)) / 2
    edges = []
    for box in above:
        points = [(box.centre, box.bottom), (box.centre, level)]
        if box.centre != centre:
            points.append((centre, level))
        edges.append(arrow(points, head=False))
    for box in below:
        points = (
            [(centre, level), (box.centre, level), (box.centre, box.y)]
            if box.centre != centre
            else [(centre, level), (centre, box.y)]
        )
        edges.append(arrow(points))
    return edges


def _row(op: Op, graph: Graph) -> LayerRow:
    kernel, stride = getattr(op, "kernel", None), getattr(op, "stride", None)
    return LayerRow(
        name=op.name, kind=KINDS[type(op)], inputs=op.inputs, output=op.output, output_shape=graph.shapes[op.output],
        kernel=kernel, stride=stride, relu=getattr(op, "relu", False),
        parameters=int(isinstance(op, Conv | Depthwise | Dense)), macs=0, live_bytes=0,
    )  # fmt: skip


def _scrolled(name: str, svg: Markup) -> str:
    """A figure that scrolls by itself on a narrow screen, by keyboard too."""
    inside = element("div", svg, class_="mz-scroll", tabindex="0", role="region", aria_label=name)
    return str(element("figure", inside, class_="mz-figure"))
