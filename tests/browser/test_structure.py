"""The core of each page holds without the theme: headings, tables and drawings mean what they look like, at every width."""

import itertools

import pytest

from .conftest import address_of
from .kinds import GENERATED, HOSTILE, SENSED, WRITTEN
from .trying import run

pytestmark = pytest.mark.browser

PHONE, WIDE = 390, 1920
WORDS = [name for name in WRITTEN if name != "404.html"]
CORE = """() => {
  const all = (selector, within) => [...(within ?? document).querySelectorAll(selector)];
  const words = (element) => (element.textContent ?? '').replace(/\\s+/g, ' ').trim().slice(0, 60);
  const named = (element) => element.getAttribute('aria-label') || element.hasAttribute('aria-labelledby');
  const article = document.querySelector('main article');
  const ids = all('[id]').map((element) => element.id);
  return {
    h1: all('h1').length,
    language: document.documentElement.lang,
    landmarks: ['header', 'main', 'nav'].filter((name) => !document.querySelector(name)),
    levels: all('h1, h2, h3, h4, h5, h6', article).map((heading) => [Number(heading.tagName[1]), words(heading)]),
    twins: ids.filter((id, index) => ids.indexOf(id) !== index),
    tables: all('table', article).filter((table) => !table.querySelector('th')).map(words),
    cells: all('table thead th, table tbody th', article).filter((cell) => cell.closest('.mz-table') && !cell.scope).map(words),
    drawings: all('svg', article).filter(
      (svg) => !svg.closest('[aria-hidden=true]') && !(svg.getAttribute('role') && (named(svg) || svg.querySelector('title')))
    ).map((svg) => svg.outerHTML.slice(0, 120)),
    links: all('a[href]', article).filter((link) => !words(link) && !named(link) && !link.querySelector('title, [alt]'))
      .map((link) => link.outerHTML.slice(0, 120)),
  };
}"""


def sideways(page):
    """By how many pixels the page is wider than its window, and what sticks out."""
    return page.evaluate(
        """() => {
          const over = document.documentElement.scrollWidth - innerWidth;
          const right = (element) => element.getBoundingClientRect().right;
          const wide = [...document.querySelectorAll('main *')].filter((element) => right(element) > innerWidth + 1);
          return over > 0 ? [over, ...wide.slice(0, 3).map((element) => element.outerHTML.slice(0, 100))] : [];
        }"""
    )


@pytest.mark.parametrize("names", [(*GENERATED, HOSTILE), WORDS[::2], WORDS[1::2]], ids=["generated", "some", "others"])
def test_structure_holds_and_no_page_scrolls_sideways(visit, site, names):
    page = visit(names[0], width=PHONE, height=844, touch=True)
    for name in names:
        page.set_viewport_size({"width": PHONE, "height": 844})
        page.goto(address_of(site, name))
        structure_holds(page)


@pytest.mark.parametrize("name", SENSED)
def test_structure_holds_on_models_of_sensor_data_while_they_run(visit, tried, name):
    structure_holds(run(visit(name, site=tried, width=PHONE, height=844, touch=True)))


def structure_holds(page):
    core = page.evaluate(CORE)
    assert (core.pop("h1"), core.pop("language")) == (1, "en"), page.url
    levels = core.pop("levels")
    assert levels[0][0] == 1, page.url
    skipped = [after for before, after in itertools.pairwise(levels) if after[0] > before[0] + 1]
    assert skipped == [], page.url
    assert core == {key: [] for key in core}, page.url
    assert sideways(page) == [], page.url
    page.set_viewport_size({"width": WIDE, "height": 1080})
    assert sideways(page) == [], page.url


@pytest.mark.parametrize("name", [name for name in GENERATED if name.endswith("index.html")])
def test_without_the_theme_the_core_is_in_order(browser, site, name):
    """No style sheet, no script: heading, tables and drawings stand in the order of their headings, and links still lead on."""
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.route("**/*.css", lambda route: route.fulfill(body="", content_type="text/css"))
    page.goto((site / name).as_uri())
    assert page.locator("main h1").is_visible()
    for heading in page.locator("main article h2").all():
        assert heading.is_visible()
    tops = [heading.bounding_box()["y"] for heading in page.locator("main article :is(h1, h2, h3)").all() if heading.is_visible()]
    assert tops == sorted(tops)
    assert page.locator("main article table").count()
    page.locator("main article table a").filter(visible=True).first.click()
    page.wait_for_load_state("domcontentloaded")
    assert page.locator("main h1").count() == 1
    context.close()


@pytest.mark.parametrize("name", GENERATED)
def test_printed_pages_hold_the_content_and_no_controls(visit, name):
    page = visit(name, dark=True, width=800, media="print")
    assert page.locator("main h1").is_visible()
    for role in ("navigation", "search", "searchbox", "button", "combobox", "spinbutton", "banner"):
        shown = [each for each in page.get_by_role(role).all() if each.is_visible()]
        # What sorts a column is the column's heading too.
        left = [each.evaluate("found => found.closest('th') ? '' : found.outerHTML.slice(0, 120)") for each in shown]
        assert [html for html in left if html] == [], role
    ink = page.locator("main article p, main article td").first.evaluate("element => getComputedStyle(element).color")
    assert max(int(part) for part in ink.removeprefix("rgb(").removesuffix(")").split(",")) < 120, f"{ink} on white paper"


SHIFTS = """() => new Promise((done) => {
  let sum = 0;
  const seen = new PerformanceObserver((list) => list.getEntries().forEach((each) => (sum += each.value)));
  seen.observe({ type: "layout-shift", buffered: true });
  setTimeout(() => done(sum), 300);
})"""


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["index.html", "models/digits/cortex-m4-64k/brisk-wren/index.html"])
def test_nothing_moves_when_the_scripts_start(visit, host, name, width):
    page = visit(name, host=host, width=width)
    page.wait_for_load_state("load")
    assert page.evaluate(SHIFTS) < 0.05  # below 0.1 is good: web.dev/cls
