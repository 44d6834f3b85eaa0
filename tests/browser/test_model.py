"""The page of a model and of its card in a real browser: from a figure to its line, layers by keyboard, light and dark."""

import pytest

pytestmark = pytest.mark.browser

MODEL = "models/digits/cortex-m4-64k/brisk-wren/index.html"


@pytest.fixture
def page(browser, site):
    """The model's page, on a phone in the dark: the narrowest of all."""
    context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme="dark")
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.goto((site / MODEL).as_uri())
    yield page
    context.close()


def test_a_figure_leads_to_its_line_in_the_scheme_of_the_site(page):
    link = page.locator(".mz-tiles a.mz-at").nth(1)
    assert link.get_attribute("href") == "card.html#limits.0.need"
    link.click()
    line = page.locator("li:target")
    line.wait_for()
    assert line.inner_text().strip().startswith('"need": ')
    top = line.evaluate("node => node.getBoundingClientRect().top")
    assert 0 < top < 800
    assert page.locator("body").get_attribute("data-md-color-scheme") == "slate"
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_layer_shows_its_needs_on_focus_and_leads_to_its_row(page):
    box = page.locator("a.mz-layer").nth(2)
    detail = box.locator(".mz-box-detail")
    assert detail.evaluate("node => getComputedStyle(node).visibility") == "hidden"
    box.focus()
    assert detail.evaluate("node => getComputedStyle(node).visibility") == "visible"
    assert "MACs" in detail.text_content()
    page.keyboard.press("Enter")
    row = page.locator("tr:target")
    row.wait_for(state="attached")
    assert row.get_attribute("id") == "layer-3" and row.locator("a").first.get_attribute("href") == "card.html#layers.2"


def test_the_page_fits_its_width_on_a_phone_and_on_paper(page):
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.set_viewport_size({"width": 720, "height": 1000})
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") == 720
    assert page.locator(".md-header").is_hidden() and page.locator(".mz-copy").first.is_hidden()


def test_the_card_follows_a_scheme_that_was_chosen(page, site):
    page.evaluate("__md_set('__palette', {index: 0, color: {scheme: 'default'}})")
    page.goto((site / MODEL.replace("index.html", "card.html")).as_uri())
    assert page.locator("body").get_attribute("data-md-color-scheme") == "default"
