import re
import xml.etree.ElementTree as ET

import numpy as np

from microzoo.catalog.card import LayerRow
from microzoo.pages.diagram import BOX_HEIGHT, BOX_WIDTH, architecture, caption, places

from .cards import synthetic


def layer(output, *inputs, kind="CONV_2D"):
    return LayerRow(
        name=output, kind=kind, inputs=inputs, output=output, output_shape=(4, 4, 2), parameters=1, macs=1, live_bytes=1
    )


def test_a_chain_stays_in_one_lane():
    placed, _ = places([layer("a", "x"), layer("b", "a"), layer("c", "b")])
    assert {place.lane for place in placed.values()} == {0}
    assert [placed[name].row for name in "xabc"] == [0, 1, 2, 3]


def test_a_branch_gets_a_lane_beside_its_shortcut():
    placed, _ = places([layer("a", "x"), layer("b", "a"), layer("sum", "a", "b", kind="ADD")])
    assert (placed["a"].lane, placed["b"].lane, placed["sum"].lane) == (0, 1, 0)


def test_no_line_runs_through_a_box():
    rng = np.random.default_rng(11)
    for _ in range(200):
        layers, open_ = [], ["x"]
        for index in range(int(rng.integers(2, 12))):
            inputs = list(dict.fromkeys(rng.choice(open_, size=min(len(open_), int(rng.integers(1, 3))))))
            layers.append(layer(f"t{index}", *map(str, inputs)))
            open_.append(f"t{index}")
        placed, last = places(layers)
        for name, place in placed.items():
            beside = {other for other in placed.values() if place.row < other.row < last[name]}
            assert all(other.lane != place.lane for other in beside), layers


def test_boxes_do_not_touch_and_lie_inside():
    card = synthetic().card
    root = ET.fromstring(str(architecture(card.layers, card.input.shape, title="t")))
    width, height = map(float, root.get("viewBox").split()[2:])
    boxes = [(float(node.get("x")), float(node.get("y"))) for node in root.iter("rect")]
    assert len(boxes) == len(card.layers) + 1
    assert all(0 <= x <= width - BOX_WIDTH and 0 <= y <= height - BOX_HEIGHT for x, y in boxes)
    assert len({y for _, y in boxes}) == len(boxes)
    edges = [node for node in root.iter("path") if node.get("class") == "mz-edge"]
    assert len(edges) == sum(len(row.inputs) for row in card.layers)
    assert all(re.match(r"M[\d.]+ [\d.]+L", node.get("d")) for node in edges)


def test_an_unknown_operator_is_shown_under_its_own_name():
    assert caption(layer("a", "x", kind="SOFTMAX")) == "SOFTMAX"
