"""Sensor values in the page: plots by unit, and a replay that takes the time of the recording before the model answers."""

import re

import numpy as np
import pytest

from microzoo.catalog.golden import read_golden
from microzoo.catalog.store import read_entry

from .trying import column, listen, said, shown_class

pytestmark = pytest.mark.browser

STEPS = "geotec-har/cortex-m4-64k/steps"
SECONDS = 100 / 102.5
CLOCK = """() => {
  const hand = (window.hand = { now: 0, next: null });
  performance.now = () => hand.now;
  window.requestAnimationFrame = (work) => ((hand.next = work), 1);
  window.cancelAnimationFrame = () => (hand.next = null);
}"""


@pytest.fixture
def entry(zoo):
    return read_entry(zoo / STEPS)


@pytest.fixture
def golden(entry):
    return read_golden(entry.folder / "golden.npz")


def by_hand(page):
    """Stops the clock of the page once the time of an inference is measured."""
    page.locator(".mz-try-time", has_text="median").wait_for()
    page.evaluate(CLOCK)
    return page


def let_pass(page, seconds):
    """One frame, so much later."""
    page.evaluate("(ms) => { hand.now += ms; const work = hand.next; hand.next = null; work?.(hand.now); }", 1000 * seconds)


def lines(page):
    """Points (x, y) of each channel's line, in order: a list of arrays (n, 2)."""
    found = page.locator(".mz-try-plots .mz-try-plot .mz-line").evaluate_all("all => all.map((path) => path.getAttribute('d'))")
    return [np.array(re.findall(r"([\d.]+) ([\d.]+)", d), float) for d in found]


def cursor(page):
    """Where the cursors are, in the units of the plot; None without one."""
    (d,) = set(page.locator(".mz-try-cursor").evaluate_all("all => all.map((path) => path.getAttribute('d'))"))
    return float(re.match(r"M([\d.]+)", d)[1]) if d else None


@pytest.mark.parametrize("way", ["file", "http"])
def test_every_sample_gives_its_scores_and_its_curves(start, tried_host, golden, entry, way):
    page = start(STEPS, host=tried_host if way == "http" else None)
    assert f"{len(golden)} of {len(golden)} give the published scores" in page.locator(".mz-try-golden").inner_text()
    classes, samples = entry.card.dataset.classes, page.locator(".mz-try-sample")
    assert samples.all_inner_texts() == [classes[label] for label in golden.label]
    heights = []
    for index in range(len(golden)):
        samples.nth(index).click()
        assert column(page, 4) == golden.output[index].tolist()
        assert shown_class(page) == classes[int(golden.output[index].argmax())]
        heights.append([line[:, 1] for line in lines(page)])
    # All samples share a scale: height falls in a straight line with the value, the same for the channels of one unit.
    heights = np.array(heights)
    assert heights.shape == (len(golden), 6, 100)
    for group in (slice(0, 3), slice(3, 6)):
        values, drawn = golden.raw[:, :, 0, group].transpose(0, 2, 1).ravel(), heights[:, group].ravel()
        slope, offset = np.polyfit(values, drawn, 1)
        assert slope < 0 and np.abs(values * slope + offset - drawn).max() < 0.1


def test_channels_of_one_unit_share_a_plot_and_differ_by_more_than_colour(start, entry):
    page = start(STEPS)
    plots = page.locator(".mz-try-plots figure")
    assert plots.count() == 2
    names = list(entry.card.dataset.signal.channels)
    assert [plots.nth(i).locator("li").all_inner_texts() for i in range(2)] == [names[:3], names[3:]]
    for i, unit in enumerate(("g", "rad/s")):
        assert plots.nth(i).locator("text").first.text_content() == unit
        found = plots.nth(i).locator(".mz-try-plot .mz-line")
        dashes = found.evaluate_all("all => all.map((path) => getComputedStyle(path).strokeDasharray)")
        assert len(set(dashes)) == 3
        words = plots.nth(i).locator(".mz-try-plot").get_attribute("aria-label")
        assert words.startswith(", ".join(names[3 * i : 3 * i + 3])) and words.endswith(f"{unit} over 0.98 s")


def test_a_replay_takes_its_time_and_answers_when_the_window_is_complete(start, golden):
    page = by_hand(start(STEPS, still=False))
    page.locator(".mz-try-sample").nth(3).click()
    page.get_by_role("button", name="Play").click()
    said(page, "the model answers when it is complete")
    assert page.locator(".mz-try-best").count() == 0
    begun = None
    for passed in (0.1, 0.2, 0.5):
        let_pass(page, passed - (begun or 0))
        begun = passed
        assert {len(line) for line in lines(page)} == {int(passed * 102.5) + 1}
        assert abs(cursor(page) - (34 + 378 * passed / SECONDS)) < 0.01
        assert page.locator(".mz-try-clock").text_content() == f"{passed:.2f} of 0.98 s"
        assert page.locator(".mz-try-best").count() == 0
    page.get_by_role("button", name="Pause").click()
    let_pass(page, 5)
    assert len(lines(page)[0]) == 52 and page.locator(".mz-try-best").count() == 0
    page.get_by_role("button", name="Go on").click()
    let_pass(page, SECONDS - 0.501)
    assert (
        len(lines(page)[0]) == 100 and page.locator(".mz-try-best").count() == 0
    )  # the last value has come, its time is not over
    let_pass(page, 0.002)
    page.locator(".mz-try-best").wait_for()
    assert column(page, 4) == golden.output[3].tolist() and cursor(page) is None
    said(page, "The model says ")
    assert page.get_by_role("button", name="Play").count() == 1


def test_whoever_wants_nothing_to_move_gets_steps(start):
    page = by_hand(start(STEPS))
    assert cursor(page) is None and len(lines(page)[0]) == 100  # nothing runs before Play is pressed
    page.get_by_role("button", name="Play").click()
    places = set()
    for _ in range(48):
        let_pass(page, 0.02)
        places.add(round((cursor(page) - 34) / 378 * SECONDS, 3))
    assert places == {0.0, 0.25, 0.5, 0.75}
    let_pass(page, 0.02)
    page.locator(".mz-try-best").wait_for()


def test_another_sample_ends_a_replay(start, golden):
    page = by_hand(start(STEPS, still=False))
    page.get_by_role("button", name="Play").click()
    let_pass(page, 0.4)
    page.get_by_role("button", name="Next").click()
    assert page.locator(".mz-try-sample").nth(1).get_attribute("aria-pressed") == "true"
    assert column(page, 4) == golden.output[1].tolist()
    assert cursor(page) is None and page.evaluate("hand.next") is None
    page.locator(".mz-try-sample").nth(len(golden) - 1).click()
    page.get_by_role("button", name="Next").click()
    assert column(page, 4) == golden.output[0].tolist()


def test_keys_alone_are_enough(opened, golden):
    page = opened(STEPS, still=False)
    page.get_by_role("button", name="Run the model here").focus()
    page.keyboard.press("Enter")
    page.locator(".mz-try-best").wait_for()
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.textContent") == "Next"
    page.keyboard.press("Enter")
    assert column(page, 4) == golden.output[1].tolist()
    page.keyboard.press("Shift+Tab")
    listen(page)
    page.keyboard.press("Space")
    page.wait_for_function("verdicts.at(-2)?.startsWith('The window is coming in')")  # by the page's own clock
    assert page.evaluate("verdicts.at(-1)").startswith("The model says ")
    assert column(page, 4) == golden.output[1].tolist()


def test_without_script_a_line_says_what_one_would_get(opened):
    page = opened(STEPS, script=False)
    assert "With it you would see recorded movements replayed or pick one of 8" in page.locator("#mz-try noscript").inner_text()
    assert not page.locator(".mz-try-stage").is_visible()


@pytest.mark.axe
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_accessible_at_rest_and_while_it_plays(start, axe, dark):
    page = by_hand(start(STEPS, dark=dark))
    assert axe(page, "#mz-try") == []
    page.get_by_role("button", name="Play").click()
    let_pass(page, 0.5)
    assert axe(page, "#mz-try") == []


def test_it_fits_the_window(start):
    page = start(STEPS)
    for width in (360, 390, 800, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
