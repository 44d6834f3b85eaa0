import math
import random
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from microzoo.pages.series import Cloud, Curve, Dot, Reference, curves, fronts, median_run

CSS = (Path(__file__).parents[2] / "site/pages/assets/microzoo.css").read_text(encoding="utf-8")
# Width 720 leaves x from 64 to 700; height 400 leaves the lower edge at 348. Title and one line of legend: the upper one at 76.
LEFT, RIGHT, TOP, BOTTOM = 64, 700, 76, 348


def parse(svg):
    assert len(svg.splitlines()) == 1, "pasted into Markdown, a blank line would end it"
    root = ET.fromstring(str(svg))
    assert root.get("role") == "img" and root.find("title").text
    return root


def classed(root, name):
    return [node for node in root.iter() if name in (node.get("class") or "").split()]


def moves(node):
    return [(command, [float(n) for n in numbers.split()]) for command, numbers in re.findall(r"([MHV])([\d. ]+)", node.get("d"))]


def drawn(**options):
    series = [Curve("ours", (((0, 0.0), (50, 0.5), (100, 1.0)),)), Curve("theirs", (((0, 0.25), (100, 0.5)),))]
    return parse(curves(series, title="t", x_label="epochs", y_label="hypervolume", **options))


def test_curves_by_hand():
    """Ticks 0 to 100 and 0 to 1: 50 lies in the middle of 64 to 700, 382; 0.5 in the middle of 348 to 76, 212."""
    root = drawn()
    ours, theirs = classed(root, "mz-run")
    assert moves(ours) == [("M", [LEFT, BOTTOM]), ("H", [382]), ("V", [212]), ("H", [RIGHT]), ("V", [TOP])]
    assert moves(theirs) == [("M", [LEFT, 280]), ("H", [RIGHT]), ("V", [212])]
    ends = [node.get("transform") for node in root.iter("g") if "scale(" in (node.get("transform") or "")]
    assert ends == ["translate(700 76) scale(0.75)", "translate(700 212) scale(0.75)"]
    words = [node.text for node in root.iter("title")]
    assert words.count("ours: 1 at 100") == 2, "line and mark"


def test_series_differ_by_dash_shape_and_colour():
    root = drawn()
    ours, theirs = classed(root, "mz-run")
    assert ours.get("stroke-dasharray") != theirs.get("stroke-dasharray")
    assert {ours.get("class"), theirs.get("class")} == {"mz-line mz-run mz-c0", "mz-line mz-run mz-c1"}
    assert len({node.get("d") for node in classed(root, "mz-mark")}) == 2
    assert [node.text for node in classed(root, "mz-note")] == ["ours", "theirs"], "the legend"


def test_a_logarithmic_axis_has_the_same_step_for_the_same_factor():
    """1 to 100 is two decades: 10 lies in the middle."""
    root = parse(curves([Curve("a", (((1, 0), (10, 1), (100, 1)),))], title="t", x_label="x", y_label="y", log_x=True))
    (line,) = classed(root, "mz-run")
    assert [numbers for command, numbers in moves(line) if command == "H"] == [[382], [700]]


def test_references_are_dashed_labelled_lines_that_do_not_cover_each_other():
    near = (Reference(0.5, "peer"), Reference(0.49, "paper"), Reference(2.0, "far <above>"))
    root = drawn(references=near)
    levels = classed(root, "mz-level")
    assert all(node.get("y1") == node.get("y2") and node.find("title") is not None for node in levels)
    labels = {node.text: float(node.get("y")) for node in classed(root, "mz-halo")}
    assert set(labels) == {"peer", "paper", "far <above>"}
    assert labels["paper"] - labels["peer"] >= 12
    assert max(float(node.text) for node in classed(root, "mz-tick") if float(node.get("x")) < LEFT) >= 2, "inside the axis"


def test_several_runs_are_thin_and_their_median_thick():
    runs = (((0, 0.0), (10, 0.2)), ((0, 0.0), (5, 0.4), (10, 0.6)), ((0, 0.0), (8, 0.4)))
    root = parse(curves([Curve("a", runs)], title="t", x_label="x", y_label="y"))
    assert len(classed(root, "mz-run")) == 3 + 1, "the fourth one is the legend's"
    titles = [node.text for node in root.iter("title")]
    assert "a, run 2 of 3: 0.6 at 10" in titles and "a: median" in titles
    assert "one run, median of the runs" in [node.text for node in classed(root, "mz-note")]
    assert "a ends at 0.4 (median of 3 runs)" in root.find("desc").text


def test_median_of_steps_by_hand():
    """From 1, where the last one begins, to 8, where the first one ends."""
    runs = [[(0, 0.0), (8, 1.0)], [(1, 0.2), (4, 0.6), (9, 2.0)], [(0, 0.1), (2, 0.5), (8, 0.7)]]
    assert median_run(runs) == [(1, 0.1), (2, 0.2), (4, 0.5), (8, 0.7)]
    assert median_run([[(0, 1.0)], [(5, 1.0)], [(6, 1.0)]]) == []


def test_median_against_brute_force():
    rng = random.Random(4)
    for _ in range(50):
        runs = [sorted((rng.randrange(30), rng.random()) for _ in range(6)) for _ in range(5)]
        runs = [list(dict(run).items()) for run in runs]
        for place, value in median_run(runs):
            held = sorted([y for at, y in run if at <= place][-1] for run in runs)
            assert value == held[2]


def test_fronts_by_hand():
    """1 to 16 KB is four octaves over 636 px. Error ticks 0 to 40 %: 10 % lies at 348 - 272 / 4 = 280; 30 % is beaten."""
    cloud = Cloud("pruned", (Dot(1024, 0.36), Dot(4096, 0.1, "seed 1"), Dot(8192, 0.3, "seed 2"), Dot(16_384, 0.05)))
    root = parse(fronts([cloud], title="t", x_label="flash", y_label="error"))
    (stairs,) = classed(root, "mz-stairs")
    ticks = [node.text for node in classed(root, "mz-tick")]
    assert ticks[:5] == ["0 %", "10 %", "20 %", "30 %", "40 %"] and ticks[-1] == "16 KB"
    assert moves(stairs) == [
        ("M", [64, 103.2]),
        ("H", [382]),
        ("V", [280]),
        ("H", [700]),
        ("V", [314]),
        ("H", [700]),
    ]
    pale = classed(root, "mz-pale")
    assert [node.find("title").text for node in pale] == ["pruned, seed 2: 30 % at 8.0 KB"]
    assert len([node for node in root.iter("g") if "scale(0.85)" in (node.get("transform") or "")]) == 4


def test_fronts_of_accuracies_rise():
    cloud = Cloud("a", (Dot(1, 0.5), Dot(2, 0.9), Dot(3, 0.7)))
    options = {"title": "t", "x_label": "x", "y_label": "accuracy", "x_as": "number", "log_x": False}
    root = parse(fronts([cloud], less_is_better=False, **options))
    (stairs,) = classed(root, "mz-stairs")
    climbs = [numbers[0] for command, numbers in moves(stairs) if command == "V"]
    assert len(climbs) == 1 and climbs[0] < moves(stairs)[0][1][1]
    assert len(classed(root, "mz-pale")) == 1


def test_fronts_against_brute_force():
    rng = random.Random(8)
    for _ in range(30):
        dots = tuple(Dot(rng.randrange(1, 9), rng.randrange(9) / 10, str(index)) for index in range(rng.randrange(1, 9)))
        root = parse(fronts([Cloud("a", dots)], title="t", x_label="x", y_label="y", x_as="number"))
        pale = {int(re.search(r"a, (\d+):", node.find("title").text)[1]) for node in classed(root, "mz-pale")}
        for index, dot in enumerate(dots):
            beaten = any(other.x <= dot.x and other.y <= dot.y and (other.x, other.y) != (dot.x, dot.y) for other in dots)
            twin = any((other.x, other.y) == (dot.x, dot.y) for other in dots[:index])
            assert (index in pale) == (beaten or twin), dots


def test_every_mark_has_its_words_and_words_are_escaped():
    root = parse(fronts([Cloud("<a>\n", (Dot(5, 0.5, 'x"\n\ny'),))], title="<t>", x_label="&", y_label="y"))
    marks = [node for node in classed(root, "mz-mark") if node.find("title") is not None]
    assert [node.find("title").text for node in marks] == ['<a> , x"  y: 50 % at 5 B']


def test_no_points_is_our_mistake():
    for call in (
        lambda: curves([], title="t", x_label="x", y_label="y"),
        lambda: fronts([], title="t", x_label="x", y_label="y"),
    ):
        with pytest.raises(AssertionError):
            call()
    with pytest.raises(AssertionError):
        curves([Curve("a", (((0, 1),),))], title="t", x_label="x", y_label="y", log_x=True)


def test_every_class_has_a_rule():
    runs = tuple(((1, 0.1 * seed), (math.e, 0.5)) for seed in range(4))
    many = [Curve(str(index), runs) for index in range(9)]
    shown = curves(many, title="t", x_label="x", y_label="y", references=[Reference(0.2, "r")])
    shown += fronts([Cloud(str(i), (Dot(1, 0.1), Dot(2, 0.2))) for i in range(9)], title="t", x_label="x", y_label="y")
    used = {name for words in re.findall(r'class="([^"]*)"', shown) for name in words.split()}
    assert used - set(re.findall(r"\.(mz-[\w-]+)", CSS)) <= {"mz-tick", "mz-chart"}
