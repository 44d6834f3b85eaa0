"""The plots of the finder against those that Python draws: places, fronts, axes, and the results of others."""

import re

import pytest
from markupsafe import Markup

from microzoo.catalog.store import entries
from microzoo.pages.chart import value_axis
from microzoo.pages.plot import pareto
from microzoo.pages.rivals import load_rivals, of_dataset
from microzoo.pages.table import AXES, front, target_names

from ...pages.sites import ROOT  # noqa: TID252  # tests are no package
from .oracle import marks

pytestmark = pytest.mark.browser
RIVALS = load_rivals(ROOT / "site" / "data" / "rivals.toml")


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.key)
@pytest.mark.parametrize("filtered", [False, True])
def test_plots_lie_where_python_draws_them_and_the_front_follows_the_filter(view, found, axis, filtered):
    page = view(f"#?x={axis.key}&rivals=no" + ("&target=cortex-m4-64k" if filtered else ""))
    assert page.locator("figure[data-plot=mnist] .mz-scatter > title").text_content() == f"Mnist: accuracy against {axis.title}"
    here = [row for row in found if row.dataset == "mnist" and (not filtered or row.target == "cortex-m4-64k")]
    points = [(row.id, getattr(row, axis.key).value, row.accuracy) for row in here if getattr(row, axis.key).value is not None]
    best = {points[index][0] for index in pareto([(x, y) for _, x, y in points])}
    costs, shares = [x for _, x, _ in points], [y for *_, y in points]
    x = value_axis(min(costs) * 0.94, max(costs) * 1.06, axis.written, 64, 460, "", log=True)
    y = value_axis(min(shares), max(shares), "share", 248, 34, "")
    drawn = marks(page, "mnist")
    assert set(drawn) == {name for name, _, _ in points}
    for name, cost, share in points:
        place, on_front = drawn[name]
        assert place == pytest.approx([x.scale(cost), y.scale(share)], abs=0.11), name
        assert on_front == (name in best)
    words = page.locator("figure[data-plot=mnist] .mz-tick").all_text_contents()
    assert words[: len(y.ticks)] == [y.written(tick) for tick in y.ticks]
    x_words = [x.written(tick) for tick in x.ticks]
    assert x_words[0] == words[len(y.ticks)] and set(words[len(y.ticks) :]) <= set(x_words)
    climbs = re.findall(r"V([\d.]+)", page.locator("figure[data-plot=mnist] .mz-scatter path.mz-front").get_attribute("d"))
    assert len(climbs) == len(best) - 1


def test_the_first_view_is_the_drawing_of_the_server(look, zoo):
    page = look()
    names = target_names(entries(zoo))
    served = front(entries(zoo), "mnist", names, "", width=480, rivals=RIVALS).svg
    drawn = marks(page, "mnist")
    page.get_by_label("Plot accuracy against").select_option("flash")
    assert marks(page, "mnist") != drawn
    page.get_by_label("Plot accuracy against").select_option("")
    assert marks(page, "mnist") == drawn
    script = page.locator("figure[data-plot=mnist] .mz-frame").evaluate("one => one.textContent")
    python = Markup(re.search(r'<g class="mz-frame">(.*?)</g></g>', str(served), re.DOTALL)[1]).striptags()
    assert script.replace(" ", "") == python.replace(" ", "")


def test_others_results_are_hollow_named_sourced_and_can_be_hidden(view):
    page = view()
    rivals = of_dataset(RIVALS, "mnist")
    assert rivals
    hollow = page.locator("figure[data-plot=mnist] svg .mz-rival")
    assert hollow.count() == len(rivals)

    def named():
        here = "all.filter((one) => one.getAttribute('display') !== 'none')"
        drawn = f"all => {here}.map((one) => one.querySelector('text').textContent)"
        return sorted(page.eval_on_selector_all("figure[data-plot=mnist] svg .mz-rival", drawn))

    for axis in AXES:
        page.get_by_label("Plot accuracy against").select_option("" if axis.key == "ram" else axis.key)
        expected = [(rival.short, rival.on(axis.key)) for rival in rivals]
        assert named() == sorted(name + ("" if figure[1] else "*") for name, figure in expected if figure is not None)
    page.get_by_label("Plot accuracy against").select_option("flash")
    assert named()
    key = page.locator("figure[data-plot=mnist] .mz-rival-key")
    assert key.is_visible()
    link = hollow.first.locator("a")
    assert link.get_attribute("href") in {rival.url for rival in rivals} and "fill: none" in page.evaluate(
        "'fill: ' + getComputedStyle(document.querySelector('.mz-rival-mark')).fill"
    )
    page.get_by_label("hide what others published").check()
    assert named() == [] and not key.is_visible()


def test_the_box_that_hides_others_results_is_there_where_there_are_such(view):
    page = view()
    rivals = of_dataset(RIVALS, "mnist") + of_dataset(RIVALS, "fashion-mnist") + of_dataset(RIVALS, "digits")
    box = page.get_by_label("hide what others published")
    seen = {}
    for axis in AXES:
        page.get_by_label("Plot accuracy against").select_option("" if axis.key == "ram" else axis.key)
        seen[axis.key] = box.is_visible()
    assert seen == {axis.key: any(rival.on(axis.key) for rival in rivals) for axis in AXES}
    assert set(seen.values()) == {True, False}
    page.get_by_label("Plot accuracy against").select_option("flash")
    box.check()
    assert box.is_visible(), "what was hidden can be shown again"
    page.get_by_label("Text").fill("nothing like it")
    assert not box.is_visible(), "no plot is left"


def test_a_dataset_page_has_its_plot_and_axis_too(look, home, found):
    page = look()
    page.goto(home.replace("index.html", "datasets/mnist.html#?x=instructions&sort=ram"))
    drawn = marks(page, "mnist")
    assert set(drawn) == {row.id for row in found if row.dataset == "mnist" and row.instructions.value is not None}
    page.get_by_label("Plot accuracy against").select_option("macs")
    assert page.url.endswith("datasets/mnist.html#?x=macs&sort=ram") and len(marks(page, "mnist")) > len(drawn)
