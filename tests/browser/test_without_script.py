"""Without JavaScript everything that is known is there: the whole table, the plots, the drawings and the downloads."""

import pytest

from .kinds import GENERATED, MODEL

pytestmark = pytest.mark.browser


def test_the_home_page_has_the_whole_table_and_its_plots(visit, big_site):
    page = visit("index.html", site=big_site, script=False)
    models = {path.parent.relative_to(big_site).as_posix() for path in big_site.glob("models/*/*/*/index.html")}
    assert len(models) > 200
    linked = page.locator("main table tbody tr a").evaluate_all("links => links.map((link) => link.getAttribute('href'))")
    assert {link.removesuffix("/index.html") for link in linked} >= models
    rows = page.locator("main table tbody tr")
    assert rows.filter(visible=True).count() >= len(models)
    plots = page.locator("main svg[role]").filter(visible=True)
    assert plots.count() >= 3
    marks = page.locator("main svg a[href*='models/']").evaluate_all("marks => marks.map((mark) => mark.getAttribute('href'))")
    assert {mark.removesuffix("/index.html") for mark in marks} == models


def test_a_model_page_has_figures_drawings_and_downloads(visit, site):
    page = visit(MODEL, script=False)
    assert page.locator("main table").filter(visible=True).count() >= 5
    assert page.locator("main svg[role]").filter(visible=True).count() >= 3
    links = page.locator("main a[href*='files/']").filter(visible=True)
    names = links.evaluate_all("links => links.map((link) => link.getAttribute('href'))")
    assert {"files/model.tflite", "files/model.onnx", "files/card.json"} <= set(names)
    for name in set(names):
        assert (site / MODEL).parent.joinpath(name.split("#")[0]).is_file(), name


@pytest.mark.parametrize("name", [*GENERATED, "reference/cli.html"])
def test_no_control_is_there_that_cannot_work(visit, name):
    page = visit(name, script=False)
    controls = page.locator("main article").locator("button, input, select, textarea, form, canvas").filter(visible=True)
    assert controls.evaluate_all("found => found.map((element) => element.outerHTML.slice(0, 120))") == []
