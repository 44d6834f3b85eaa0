"""The rules of axe on every kind of page, in light and dark; what they cannot see is tested below: keys, focus, structure."""

import pytest

from .kinds import GENERATED, HOSTILE, WRITTEN

pytestmark = [pytest.mark.browser]


STILL = "*, *::before, *::after { transition: none !important; animation: none !important }"
"""A colour on its way from one to another would be judged as it is just then."""


@pytest.mark.axe
@pytest.mark.parametrize("name", [*GENERATED, HOSTILE, *WRITTEN])
def test_axe_finds_nothing_in_light_and_dark(visit, axe, host, name):
    page = visit(name, host=host)
    page.add_style_tag(content=STILL)
    assert axe(page) == []
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    if page.locator("[data-md-component=palette]").count():
        page.locator("label[title='Switch to dark mode']").click()
        page.locator("body[data-md-color-scheme=slate]").wait_for()
    else:  # a page without the theme follows what the browser is told
        page.emulate_media(color_scheme="dark")
    assert page.evaluate(ground) != before
    assert axe(page) == []
