"""Light and dark: the system's until a visitor chooses, then the choice, on every page, before anything is drawn."""

import pytest

from .conftest import address_of
from .kinds import MODEL

pytestmark = pytest.mark.browser

CARD = MODEL.replace("index.html", "card.html")
SWITCH = {"slate": "Switch to light mode", "default": "Switch to dark mode"}


def ground(page):
    """Red, green and blue of what the page stands on."""
    found = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return tuple(int(part) for part in found.removeprefix("rgb(").removesuffix(")").split(","))


def shows(page, scheme):
    """Waits for a scheme, and holds what the page shows to it."""
    page.locator(f"body[data-md-color-scheme={scheme}]").wait_for()
    assert (max(ground(page)) < 120) == (scheme == "slate")
    if page.locator(".mz-scheme").count():
        assert page.get_by_role("button", name=SWITCH[scheme]).is_visible()
        assert page.locator(".mz-scheme svg").filter(visible=True).count() == 1
    return True


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["index.html", "cards.html", CARD])
def test_the_system_decides_until_a_visitor_does_also_while_the_page_is_open(visit, name, dark):
    page = visit(name, dark=dark)
    assert shows(page, "slate" if dark else "default")
    page.emulate_media(color_scheme="light" if dark else "dark")
    assert shows(page, "default" if dark else "slate")
    assert page.evaluate("localStorage.length") == 0, "nothing is kept that nobody chose"


def test_a_choice_by_keyboard_holds_on_every_page_and_can_be_taken_back(visit, site):
    page = visit("index.html")
    page.locator(".mz-scheme").focus()
    page.keyboard.press("Enter")
    assert shows(page, "slate")
    for name in (MODEL, CARD, "cards.html"):
        page.goto(address_of(site, name))
        assert shows(page, "slate")
    page.locator(".mz-scheme").focus()
    page.keyboard.press("Space")
    assert shows(page, "default")
    page.emulate_media(color_scheme="dark")
    assert shows(page, "default")


def test_what_was_chosen_with_the_switch_of_the_theme_still_holds(visit):
    page = visit("index.html")
    page.evaluate("__md_set('__palette', {index: 1, color: {media: '(prefers-color-scheme: dark)', scheme: 'slate'}})")
    page.reload()
    assert shows(page, "slate")


def test_what_is_no_choice_is_none(visit):
    page = visit("cards.html", dark=True)
    for kept in ("{", "[]", '"slate"', '{"color": {"scheme": "pink"}}'):
        page.evaluate("text => localStorage.setItem(__md_scope.pathname + '.__palette', text)", kept)
        page.reload()
        assert shows(page, "slate"), kept


def test_where_nothing_may_be_kept_the_switch_works_all_the_same(visit):
    page = visit("cards.html")
    page.add_init_script("delete Storage.prototype.getItem; delete Storage.prototype.setItem")
    page.reload()
    page.locator(".mz-scheme").click()
    assert shows(page, "slate")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["index.html", MODEL, "cards.html", CARD])
def test_without_scripts_the_system_decides(visit, name, dark):
    page = visit(name, dark=dark, script=False)
    assert page.locator(".mz-scheme").filter(visible=True).count() == 0
    assert ground(page) == ((23, 27, 31) if dark else (255, 255, 255))  # --mz-paper


COLOURS = """() => {
  const drawn = [...document.querySelectorAll("body, article *, .md-footer *")].filter((one) => one.checkVisibility());
  const of = ({ color, backgroundColor, fill, borderColor }) => [color, backgroundColor, fill, borderColor];
  return drawn.filter((one) => !one.closest(".mz-scripted, button, thead, .mz-example"))
    .map((one) => [one.tagName, one.getAttribute("class"), ...of(getComputedStyle(one))].join());
}"""


@pytest.mark.parametrize("name", ["index.html", "cards.html"])
def test_dark_has_the_same_colours_with_scripts_and_without(visit, name):
    still = set(visit(name, dark=True, script=False).evaluate(COLOURS))
    assert len(still) > 10
    assert still <= set(visit(name, dark=True).evaluate(COLOURS)), "with scripts there are elements more, and no other colours"


CHANGES = """() => {
  window.changes = [];
  new MutationObserver((found) => {
    for (const { target, attributeName: name, oldValue } of found)
      if (document.querySelector("main") && target.getAttribute(name) !== oldValue)
        changes.push(`${target.tagName} ${name}: was ${oldValue}`);
  }).observe(document, { subtree: true, attributes: true, attributeOldValue: true });
}"""


@pytest.mark.parametrize(("name", "dark"), [("index.html", False), ("index.html", True), (MODEL, False), ("cards.html", True)])
def test_nothing_that_every_element_is_styled_by_changes_while_the_page_starts(visit, host, name, dark):
    page = visit(CARD, host=host, dark=dark)
    page.add_init_script(f"({CHANGES})()")
    page.goto(host.address + name)
    page.wait_for_load_state("networkidle")
    changes = page.evaluate("changes")
    assert changes, "the scripts of the theme change something"
    assert [each for each in changes if each.startswith(("HTML", "BODY"))] == []
    assert page.evaluate("document.documentElement.className") == "js js-focus-visible"
