"""The rules of axe on every kind of page, in light and dark; what they cannot see is tested below: keys, focus, structure."""

import pytest

from .kinds import GENERATED, HOSTILE, MODEL, SENSED, WRITTEN
from .trying import run

pytestmark = [pytest.mark.browser]


OF_COLOURS = ("color-contrast", "link-in-text-block")
"""All rules of axe that look at colours and are not off. The others see the same in both schemes, but for the switch itself."""
TARGETS = "target-size"
"""A rule of WCAG 2.2 that axe leaves off."""
WORDS_ALONE = {*WRITTEN} - {"algorithm.html", "cards.html", "dataset.html", "reference/cli.html", "404.html"}
"""Pages that hold nothing which the others in the list of written ones do not: one of each kind is looked at in the dark."""
STILL = "*, *::before, *::after { transition: none !important; animation: none !important }"
"""A colour on its way from one to another would be judged as it is just then."""


@pytest.mark.axe
def test_axe_has_no_other_rule_of_colours(visit, axe_source):
    page = visit("index.html")
    page.evaluate(axe_source)
    known = page.evaluate("axe.getRules(['cat.color']).map((rule) => [rule.ruleId, rule.tags])")
    assert sorted(rule for rule, tags in known if not {"wcag2aaa", "experimental"} & set(tags)) == sorted(OF_COLOURS)


@pytest.mark.axe
@pytest.mark.parametrize("name", [*GENERATED, HOSTILE, *WRITTEN])
def test_axe_finds_nothing_in_light_and_dark(visit, axe, host, name):
    page = visit(name, host=host)
    finds_nothing(page, axe)
    if name not in WORDS_ALONE:
        nor_in_the_dark(page, axe)


@pytest.mark.axe
@pytest.mark.parametrize("name", SENSED)
def test_axe_finds_nothing_on_models_of_sensor_data(visit, axe, tried_host, name):
    page = run(visit(name, host=tried_host))
    finds_nothing(page, axe)
    nor_in_the_dark(page, axe)


def finds_nothing(page, axe):
    page.add_style_tag(content=STILL)
    assert axe(page, besides=[TARGETS]) == []


def nor_in_the_dark(page, axe):
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    if page.locator(".mz-scheme").count():
        page.get_by_role("button", name="Switch to dark mode").click()
        page.locator("body[data-md-color-scheme=slate]").wait_for()
    else:  # a page without the theme follows what the browser is told
        page.emulate_media(color_scheme="dark")
    assert page.evaluate(ground) != before
    assert axe(page, rules=OF_COLOURS) == []
    if page.locator("header").count():
        assert axe(page, within="header") == []


@pytest.mark.axe
@pytest.mark.parametrize(
    ("name", "width"), [("index.html", 390), (MODEL, 390), ("cards.html", 390), ("develop/decisions/npm.html", 1280)]
)
def test_no_target_is_small_or_lies_under_another(visit, axe, host, name, width):
    """As on all pages, also on a phone, and on the last of the decisions: its list of pages is scrolled to where it stands."""
    page = visit(name, host=host, width=width)
    page.wait_for_load_state("networkidle")
    assert axe(page, rules=[TARGETS]) == []
