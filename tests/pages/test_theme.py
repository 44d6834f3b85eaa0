import re

import pytest

from microzoo.pages.theme import mended


def test_a_page_that_has_nothing_of_the_theme_stays_as_it_is():
    html = '<!doctype html><title>x</title><nav aria-label="Tabs"></nav><main><h1>x</h1></main>'
    assert mended(html) == html


def test_the_link_past_the_navigation_is_always_there_and_leads_to_the_content():
    for inside in ("", '<a href="#some-heading" class="md-skip">Skip to content</a>'):
        html = mended(
            f'<div data-md-component="skip">{inside}</div><nav></nav><div class="md-content" data-md-component="content">'
        )
        assert html.count("md-skip") == html.count('href="#__content"') == html.count('id="__content"') == 1
        assert "some-heading" not in html


def test_a_folder_of_the_navigation_is_named_by_its_title():
    html = '<nav aria-labelledby="__nav_5_6_label" aria-expanded="true">\n<label class="md-nav__title" for="__nav_5_6">'
    start = '<nav aria-labelledby="__nav_5_6_title" aria-expanded="true">\n<label class="md-nav__title" id="__nav_5_6_title"'
    assert mended(html).startswith(start)


def test_the_mended_places_are_in_every_page_of_a_site(site):
    for page in ("index.html", "method.html", "develop/decisions/latency.html", "datasets/index.html", "404.html"):
        html = (site / page).read_text()
        for part in (
            'id="__content"',
            'href="#__content" class="md-skip"',
            'role="dialog" aria-label="Search"',
            'aria-label="Search options"',
        ):
            assert html.count(part) == 1, (page, part)
    assert 'aria-labelledby="__nav_5_6_title"' in (site / "develop/decisions/latency.html").read_text()


@pytest.mark.parametrize("page", ["index.html", "method.html", "404.html", "models/digits/tiny-2k/brisk-wren/index.html"])
def test_no_script_holds_up_the_first_paint(site, page):
    html = (site / page).read_text()
    tags = re.findall(r"<script[^>]* src=[^>]*>", html)
    assert len(tags) >= 6 and [tag for tag in tags if " defer" not in tag] == []
    assert (
        html.index('class="md-header__button md-icon mz-scheme') < html.index("prefers-color-scheme: dark") < html.index("<main")
    )
