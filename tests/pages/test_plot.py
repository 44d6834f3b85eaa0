import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from microzoo.catalog.card import SearchPoint
from microzoo.pages.plot import LEFT, RIGHT, SERIES, TOP, Hollow, Mark, history, memory, pareto, scatter, symbol

from .cards import synthetic


def parse(svg):
    return ET.fromstring(str(svg))


def test_pareto_against_brute_force():
    rng = np.random.default_rng(5)
    for _ in range(200):
        points = [(int(x), int(y)) for x, y in rng.integers(0, 8, (int(rng.integers(1, 9)), 2))]
        front = {points[index] for index in pareto(points)}
        beaten = {p for p in points if any((q[0] <= p[0] and q[1] > p[1]) or (q[0] < p[0] and q[1] >= p[1]) for q in points)}
        assert front == set(points) - beaten, points


def test_marks_lie_where_their_numbers_say():
    # x from 1 KB to 16 KB is four octaves over 636 px; 4 KB lies two octaves in. The y axis spans the ticks 88 % to 96 %.
    marks = [Mark(1100, 0.89, 0, "low", "a.html"), Mark(4096, 0.93, 1, "mid", "b.html"), Mark(15_000, 0.95, 2, "high", "c.html")]
    root = parse(scatter(marks, title="t", x_label="RAM", height=352))
    ticks = [node.text for node in root.iter("text") if node.get("class") == "mz-tick"]
    assert ticks[0] == "88 %" and "96 %" in ticks and "16 KB" in ticks
    moved = [list(map(float, re.findall(r"[\d.]+", node.get("transform")))) for node in root.iter("a") if node.get("transform")]
    assert moved[1][0] == pytest.approx(LEFT + (RIGHT - LEFT) / 2, abs=0.1)
    assert moved[1][1] == pytest.approx(300 - (300 - TOP) * (0.93 - 0.88) / (0.96 - 0.88), abs=0.1)
    assert [node.get("href") for node in root.iter("a")] == ["a.html", "b.html", "c.html"]
    assert [node.text for node in root.iter("title")] == ["t", "low", "mid", "high"]


def test_a_beaten_mark_is_not_on_the_front():
    marks = [Mark(2000, 0.9, 0, "good", "a"), Mark(4000, 0.8, 0, "beaten", "b")]
    shown = [
        node.get("class") for node in parse(scatter(marks, title="t", x_label="x")).iter("path") if "mz-mark" in node.get("class")
    ]
    assert ["mz-on-front" in name for name in shown] == [True, False]


def test_equal_marks_still_have_an_axis():
    parse(scatter([Mark(2048, 1.0, 0, "one", "a")] * 3, title="t", x_label="x"))
    parse(scatter([Mark(2048, 0.0, 0, "none", "a")], title="t", x_label="x"))


def test_series_differ_by_shape():
    shapes = [parse(symbol(series)).find("path").get("d") for series in range(SERIES)]
    assert len(set(shapes)) == SERIES
    assert str(symbol(SERIES)) == str(symbol(0))


@pytest.mark.parametrize(("budget", "inside"), [(1.5, True), (2.6, False)])
def test_memory_names_the_peak_and_the_budget(budget, inside):
    layers = synthetic(target="cortex-m0plus-8k").card.layers
    live = [layer.live_bytes for layer in layers]
    root = parse(memory(layers, budget * max(live), title="t"))
    notes = [node.text for node in root.iter("text") if node.get("class") == "mz-note"]
    assert f"peak: {layers[live.index(max(live))].name}, {max(live):,} B" in notes
    assert any("beyond this scale" in note for note in notes) is not inside
    assert len([node for node in root.iter("line") if node.get("class") == "mz-limit"]) == inside
    steps = next(node.get("d") for node in root.iter("path") if node.get("class") == "mz-area")
    heights = [float(y) for _, y in re.findall(r"L([\d.]+) ([\d.]+)", steps)][:-1:2]
    tallest = min(range(len(live)), key=lambda index: heights[index])
    assert tallest == live.index(max(live))
    bottom = 260 - 52
    for (h1, l1), (h2, l2) in itertools.pairwise(zip(heights, live, strict=True)):
        assert (bottom - h1) * l2 == pytest.approx((bottom - h2) * l1, rel=0.02, abs=0.06 * max(live))


def test_history_draws_every_evaluation_and_counts_those_below():
    values = [0.0, 0.8, 0.9, 0.85, 0.91, 0.9, 0.92, 0.9, 0.91, 0.9, 0.93, 0.92]
    origins = ["reference", "random", *["widen"] * 10]
    points = [
        SearchPoint(ordinal=i, origin=origin, validation_accuracy=value, activation_bytes=1, flash_bytes=1, macs=1)
        for i, (origin, value) in enumerate(zip(origins, values, strict=True))
    ]
    root = parse(history(points, 10, title="t"))
    dots = [node.get("d").count("h0") for node in root.iter("path") if "mz-dots" in node.get("class")]
    assert dots == [1, 1, 10]
    assert "published: evaluation 10, 93.00" in next(node for node in root.iter("circle")).find("title").text
    assert "1 below the axis, drawn on its edge" in [node.text for node in root.iter("text")]
    best = next(node.get("d") for node in root.iter("path") if node.get("class") == "mz-best")
    climbs = [float(y) for y in re.findall(r"V([\d.]+)", best)]
    assert len(climbs) == 4 and climbs == sorted(climbs, reverse=True)  # from 0.8 to 0.9, 0.91, 0.92, 0.93


def test_others_are_hollow_lie_where_their_numbers_say_and_leave_the_front_alone():
    ours = [Mark(2048, 0.9, 0, "ours", "a", "x/y/z")]
    others = [
        Hollow(8192, 0.95, "Other*", "words", "https://example.org", "{}"),
        Hollow(None, 0.5, "Off", "w", "https://example.org", "{}"),
    ]
    root = parse(scatter(ours, title="t", x_label="x", height=352, rivals=others))
    ticks = [node.text for node in root.iter("text") if node.get("class") == "mz-tick"]
    # x holds 1 KB to 16 KB: 8 KB lies 3 octaves of 4 in; what is on another axis widens neither.
    assert "1 KB" in ticks and "16 KB" in ticks and "50 %" not in ticks
    links = list(root.iter("a"))
    assert [link.get("href") for link in links] == ["a", "https://example.org", "https://example.org"]
    shown, off = (node for node in root.iter("g") if node.get("class") == "mz-rival")
    assert (links[0].get("data-entry"), shown.get("display"), off.get("display")) == ("x/y/z", None, "none")
    place = [float(each) for each in re.findall(r"[\d.]+", shown.get("transform"))]
    assert place[0] == pytest.approx(LEFT + (RIGHT - LEFT) * 3 / 4, abs=0.1)
    front = next(node.get("d") for node in root.iter("path") if node.get("class") == "mz-front")
    assert "V" not in front
    assert shown.find("text").text == "Other*" and shown.find("a/path").get("class") == "mz-rival-mark"


@pytest.mark.parametrize(("share", "anchor"), [(0.5, "start"), (1.0, "end")])
def test_names_of_others_stay_inside(share, anchor):
    x = 1024 * 16**share
    root = parse(
        scatter(
            [Mark(1100, 0.9, 0, "o", "a"), Mark(16_000, 0.9, 0, "o", "b")],
            title="t",
            x_label="x",
            rivals=[Hollow(x, 0.9, "N", "w", "h", "{}")],
        )
    )
    assert [node.get("text-anchor") for node in root.iter("text") if node.text == "N"] == [anchor]


def test_counts_have_ticks_of_1_2_5():
    root = parse(scatter([Mark(30_000, 0.9, 0, "o", "a"), Mark(900_000, 0.9, 0, "o", "b")], title="t", x_label="x", x_as="count"))
    ticks = [node.text for node in root.iter("text") if node.get("class") == "mz-tick"]
    assert [tick for tick in ticks if "%" not in tick] == ["20 K", "50 K", "100 K", "200 K", "500 K", "1 M"]


def test_a_mark_costs_a_page_three_elements():
    # A phone styles every one of them, and a home page has 200 marks: link, shape, and the words that a mouse shows.
    few, more = (
        parse(scatter([Mark(2048 + i, 0.9, 0, "m", "m.html") for i in range(n)], title="t", x_label="RAM")) for n in (1, 11)
    )
    assert (len(list(more.iter())) - len(list(few.iter()))) / 10 == 3
