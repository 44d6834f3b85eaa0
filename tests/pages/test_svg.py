import itertools
import xml.etree.ElementTree as ET

import pytest

from microzoo.pages.svg import Scale, element, linear_ticks, octaves


def test_text_and_attributes_are_escaped():
    made = element("text", '<script>alert("x")</script>', class_='a"b<c')
    parsed = ET.fromstring(str(made))
    assert parsed.text == '<script>alert("x")</script>'
    assert parsed.get("class") == 'a"b<c'


def test_scale_by_hand():
    # 25 lies a quarter of the way from 0 to 100: 10 + 0.25 * (210 - 10) = 60.
    assert Scale(0, 100, 10, 210)(25) == 60
    # In octaves 4 KB lies 2 of 6 steps from 1 KB to 64 KB: 300 * 2 / 6 = 100.
    assert Scale(1024, 65_536, 0, 300, log=True)(4096) == pytest.approx(100)


def test_a_value_beyond_the_ends_lies_on_them():
    scale = Scale(0, 10, 100, 0)
    assert (scale(-5), scale(50)) == (100, 0)


@pytest.mark.parametrize(("low", "high"), [(0.86, 0.93), (0, 1), (0.9999, 0.99995), (-3, 17), (0, 120)])
def test_linear_ticks_enclose_and_step_evenly(low, high):
    ticks = linear_ticks(low, high)
    steps = [b - a for a, b in itertools.pairwise(ticks)]
    assert ticks[0] <= low + 1e-12 and ticks[-1] >= high - 1e-12
    assert 2 <= len(ticks) <= 8
    assert max(steps) == pytest.approx(min(steps))


def test_octaves_enclose():
    assert octaves(1500, 9000) == (1024, 2048, 4096, 8192, 16_384)
    assert octaves(1024, 1024) == (1024, 2048)
