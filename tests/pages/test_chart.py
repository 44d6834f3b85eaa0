import re
import xml.etree.ElementTree as ET

import pytest
from markupsafe import Markup

from microzoo.pages.chart import (
    DASHES,
    SERIES,
    SHAPES,
    Chart,
    Key,
    legend,
    log_ticks,
    mark,
    steps,
    tick_count,
    tick_number,
    value_axis,
)
from microzoo.pages.svg import text


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (3, 40, (2, 5, 10, 20, 50)),
        (1, 1, (1, 2)),
        (1, 100, (1, 2, 5, 10, 20, 50, 100)),
        (0.03, 0.2, (0.02, 0.05, 0.1, 0.2)),
        (1000, 1001, (1000, 2000)),
    ],
)
def test_log_ticks_by_hand(low, high, ticks):
    assert log_ticks(low, high) == pytest.approx(ticks)


def test_axis_holds_its_values_and_never_crosses_zero_for_nothing():
    for low, high, written in ((1, 227, "number"), (0.4, 0.9, "share"), (100, 9000, "bytes"), (5, 5, "number"), (0, 0, "number")):
        axis = value_axis(low, high, written, 0, 100, "x")
        assert 0 <= axis.ticks[0] <= low and high <= axis.ticks[-1]
        assert len(axis.ticks) <= 9


def test_steps_by_hand():
    assert steps([(0, 10), (5, 8), (7, 2)], 9) == "M0 10H5V8H7V2H9"
    assert steps([(1, 2)]) == "M1 2"


def test_a_series_has_shape_and_dash_of_its_own():
    assert len(set(SHAPES)) == len(set(DASHES)) == SERIES
    first, again = (ET.fromstring(mark(series, 3, 4, "a & b")) for series in (1, 1 + SERIES))
    assert ET.tostring(first) == ET.tostring(again)
    assert first.get("transform") == "translate(3 4)" and first.find("path/title").text == "a & b"


def test_a_long_legend_takes_more_lines_within_its_width():
    drawn, last = legend([Key(Markup(), "a name of some length")] * 4, 64, 500, 10)
    places = [(float(node.get("x")), float(node.get("y"))) for node in ET.fromstring(drawn).iter("text")]
    assert last > 10 and max(y for _, y in places) == last
    assert all(x + 6 * len("a name of some length") <= 500 for x, _ in places)
    assert len(set(places)) == 4


def test_inline_is_one_line_whatever_its_words():
    chart = Chart(10, 20, "two\nlines", "more\r\nlines\u2028end", (text(0, 0, "a\n\nb<c"),), "mz-x")
    shown = chart.inline()
    assert len(shown.splitlines()) == 1 and "a  b&lt;c" in shown
    root = ET.fromstring(shown)
    assert root.get("role") == "img" and root.find("title").text == "two lines"
    placed = ET.fromstring(chart.placed(5, 6))
    assert placed.get("transform") == "translate(5 6)" and placed.get("role") == "img"
    assert re.match("two", placed.get("aria-label"))


def test_numbers_on_ticks():
    assert [tick_number(value) for value in (0.0, 12_000.0, 0.25)] == ["0", "12,000", "0.25"]


def test_counts_on_ticks():
    assert [tick_count(value) for value in (500.0, 1000.0, 200_000.0, 5e6, 2e9)] == ["500", "1 K", "200 K", "5 M", "2 G"]
