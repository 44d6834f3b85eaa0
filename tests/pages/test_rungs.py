import re
import xml.etree.ElementTree as ET

import pytest

from microzoo.catalog.card import SearchPoint
from microzoo.pages.plot import history
from microzoo.pages.rungs import Training, course


def point(ordinal, accuracy, rung, origin="widen"):
    return SearchPoint(
        ordinal=ordinal, origin=origin, rung=rung, validation_accuracy=accuracy, activation_bytes=1, flash_bytes=1, macs=1
    )


POINTS = [
    point(0, 0.80, 0, "reference"),
    point(1, 0.84, 0, "random"),
    point(2, 0.90, 1, "reference"),
    point(3, 0.82, 0),
    point(4, 0.88, 1, "random"),
    point(5, 0.86, 0),
    point(6, 0.95, 2, "reference"),
]


def classed(root, name):
    return [node for node in root.iter() if name in (node.get("class") or "").split()]


def numbers(node, letter):
    return [float(value) for value in re.findall(rf"{letter}([\d.]+)", node.get("d"))]


def test_rungs_are_drawn_apart():
    root = ET.fromstring(history(POINTS, 6, title="t"))
    dots = [node for node in root.iter("path") if node.find("title") is not None and "trainings" in node.find("title").text]
    assert [node.find("title").text for node in dots] == [
        "rung 0, reference: 1 trainings",
        "rung 0, random: 1 trainings",
        "rung 0, mutation: 2 trainings",
        "rung 1, reference: 1 trainings",
        "rung 1, random: 1 trainings",
        "rung 2, reference: 1 trainings",
    ]
    assert [node.get("class").split()[0] for node in dots] == ["mz-hollow"] * 3 + ["mz-solid"] * 3
    shapes = [re.sub(r"^M[\d.]+ [\d.]+", "", node.get("d")) for node in (dots[0], dots[3], dots[5])]
    assert len(set(shapes)) == 3
    words = [node.text for node in classed(root, "mz-note")]
    assert words[:6] == ["rung 0", "rung 1", "rung 2", "best at rung 0", "best at rung 1", "best at rung 2"]


def test_the_best_of_one_rung_is_never_joined_with_another():
    root = ET.fromstring(history(POINTS, 6, title="t"))
    lines = [node for node in classed(root, "mz-best") if node.find("title") is not None]
    assert [node.find("title").text for node in lines] == [
        "best at rung 0: 86.00\N{NO-BREAK SPACE}%",
        "best at rung 1: 90.00\N{NO-BREAK SPACE}%",
        "best at rung 2: 95.00\N{NO-BREAK SPACE}%",
    ]
    assert [len(numbers(node, "V")) for node in lines] == [2, 0, 0], "0.80, 0.84 and 0.86; the others are best at once"
    assert ["mz-lower" in node.get("class") for node in lines] == [True, True, False]
    assert "best 86.00\N{NO-BREAK SPACE}% at rung 0" in root.find("desc").text
    assert "evaluation 6 was published" in root.find("desc").text
    (ring,) = root.iter("circle")
    assert "published: evaluation 6, 95.00" in ring.find("title").text and ring.find("title").text.endswith("rung 2")


def test_trainings_lie_where_their_numbers_say():
    """Epochs 0 to 100 over 64 to 700: 50 lies at 382. 80 to 90 % over the height: 85 % lies in its middle."""
    trainings = [Training(0, 0.81, 0, "random"), Training(50, 0.85, 0, "random"), Training(100, 0.89, 1, "random")]
    chart = course(trainings, title="t", x_label="epochs", height=318)
    root = ET.fromstring(chart.inline())
    ticks = [node for node in classed(root, "mz-tick") if (node.text or "").endswith("%")]
    assert (ticks[0].text, ticks[-1].text) == ("80 %", "90 %")
    low, high = (float(node.get("y")) - 4 for node in (ticks[0], ticks[-1]))
    hollow = next(node for node in classed(root, "mz-hollow") if node.find("title") is not None)
    places = [(float(x), float(y)) for x, y in re.findall(r"M([\d.]+) ([\d.]+)", hollow.get("d"))]
    assert places[1] == pytest.approx((382 - 2, (low + high) / 2), abs=0.11)
    upper = next(node for node in classed(root, "mz-solid") if node.find("title") is not None)
    assert float(re.match(r"M([\d.]+)", upper.get("d"))[1]) == pytest.approx(700 - 3.2, abs=0.11)


def test_failures_lie_on_the_edge_and_are_counted():
    failed = [*POINTS, point(7, 0.0, 0), point(8, 0.0, 1)]
    failed += [point(9 + index, 0.85, 0) for index in range(20)]
    root = ET.fromstring(history(failed, 6, title="t"))
    assert "2 below the axis, drawn on its edge" in [node.text for node in root.iter("text")]
    assert "2 lie below the axis" in root.find("desc").text


def test_all_eight_rungs_and_a_search_that_only_failed_can_be_drawn():
    deep = course([Training(rung, rung / 10, rung, "random") for rung in range(8)], title="t", x_label="x")
    root = ET.fromstring(deep.inline())
    assert len({re.sub(r"^M[\d.]+ [\d.]+", "", node.get("d")) for node in classed(root, "mz-solid")}) >= 7
    only = ET.fromstring(course([Training(1, 0.0, 0, "random")], title="t", x_label="x").inline())
    assert [node.find("title") for node in classed(only, "mz-best")] == [None], "the legend's only"


def test_a_card_without_rungs_looks_as_before():
    """No rung, no legend, one line: cards that were written before rungs were kept."""
    root = ET.fromstring(history([point(index, 0.8 + index / 100, 0) for index in range(5)], 4, title="t"))
    assert root.get("viewBox") == "0 0 720 300"
    assert not classed(root, "mz-hollow") and len(classed(root, "mz-best")) == 1 and len(classed(root, "mz-dots")) == 1
