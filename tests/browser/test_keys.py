"""With the keyboard alone: every stop is seen, and what a mouse can do keys can do too."""

import pytest

from .kinds import GENERATED, MODEL

pytestmark = pytest.mark.browser

STOPS = 400
STOP = """() => {
  const element = document.activeElement;
  if (!element || element === document.body || element === document.documentElement) return null;
  const own = element.getBoundingClientRect();
  // A control of no size is shown by what stands beside it, such as a label.
  const stands = own.width * own.height > 0 ? [] : [...element.parentElement.children].filter((one) => one.checkVisibility());
  const looks = () => {
    const of = (node, pseudo) => {
      const style = getComputedStyle(node, pseudo);
      const outline = style.outlineStyle === 'none' || parseFloat(style.outlineWidth) === 0 ? '' : style.outline;
      return [outline, style.boxShadow, style.backgroundColor, style.borderColor, style.color, style.textDecorationLine,
        style.stroke, style.strokeWidth, style.fill, style.opacity].join(';');
    };
    const marks = element instanceof SVGElement || element.querySelector('svg') ? [...element.querySelectorAll('*')] : [];
    const near = [element.labels?.[0], element.parentElement, ...stands].filter(Boolean);
    return [element, ...marks, ...near]
      .map((node) => of(node)).concat(of(element, '::before'), of(element, '::after')).join('|');
  };
  const focused = looks();
  const boxes = [own, ...stands.map((one) => one.getBoundingClientRect())];
  const box = boxes.find((one) => one.width * one.height > 0) ?? own;
  element.blur();
  const plain = looks();
  element.focus({ preventScroll: true, focusVisible: true });
  return {
    what: element.outerHTML.replace(/\\s+/g, ' ').slice(0, 140),
    seen: focused !== plain,
    inside: box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
}"""


def stops(page, most=STOPS):
    """What the Tab key reaches, in order, until it leaves the page."""
    for _ in range(most):
        page.keyboard.press("Tab")
        stop = page.evaluate(STOP)
        if stop is None:
            return
        yield stop


def tab_to(page, script, most=STOPS):
    """Presses Tab until `script` holds for the focused element; gives how often."""
    for count in range(1, most + 1):
        page.keyboard.press("Tab")
        if page.evaluate(f"({script})(document.activeElement)"):
            return count
    raise AssertionError(f"{most} times Tab did not reach {script}")


@pytest.mark.parametrize(("name", "dark"), [("index.html", False), (MODEL, False), (MODEL, True), ("cards.html", False)])
def test_every_stop_shows_that_it_has_the_focus(visit, name, dark):
    page = visit(name, dark=dark)
    page.add_style_tag(content="* { transition: none !important }")
    found = list(stops(page))
    assert 10 < len(found) < STOPS
    assert [stop["what"] for stop in found if not stop["seen"]] == []
    assert [stop["what"] for stop in found if not stop["inside"]] == []


@pytest.mark.parametrize("name", GENERATED)
def test_the_first_stop_leads_past_the_navigation(visit, name):
    page = visit(name)
    tab_to(page, "(element) => element.matches('a.md-skip')", 3)
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main article') !== null")


def test_from_the_home_page_to_a_checksum(visit, host):
    page = visit("index.html", host=host)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    in_content = "(element) => element.closest('main article') !== null"
    tab_to(page, f"(element) => element.matches('input, select, button') && ({in_content})(element)")
    tab_to(page, "(element) => element.matches('thead th button')")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.closest('th').getAttribute('aria-sort')") in ("ascending", "descending")
    before = page.evaluate("document.activeElement.closest('th').getAttribute('aria-sort')")
    page.keyboard.press("Space")
    assert page.evaluate("document.activeElement.closest('th').getAttribute('aria-sort')") not in (before, None)
    tab_to(page, "(element) => element.matches('tbody tr a[href*=\"models/\"]')")
    wanted = page.evaluate("document.activeElement.href")
    page.keyboard.press("Enter")
    page.wait_for_url(wanted)
    tab_to(page, "(element) => /copy.*sha-256/i.test(element.getAttribute('aria-label') ?? element.textContent)")
    shown = page.evaluate("document.activeElement.closest('tr, p').textContent.match(/[0-9a-f]{64}/)[0]")
    page.keyboard.press("Enter")
    page.wait_for_function("async (shown) => (await navigator.clipboard.readText()) === shown", arg=shown)
