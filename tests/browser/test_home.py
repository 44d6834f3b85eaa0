"""The site in a real browser, opened from its files: nothing may be asked of a server."""

import pytest

pytestmark = pytest.mark.browser

MODEL = "models/fashion-mnist/cortex-m4-64k/brisk-wren/index.html"


@pytest.fixture
def page(browser):
    """A page that fails its test on any script error and any request that is not for a file of the site."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page = context.new_page()
    page.set_default_timeout(10_000)
    faults = []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "request", lambda request: faults.append(request.url) if not request.url.startswith(("file:", "data:", "blob:")) else None
    )
    yield page
    context.close()
    assert faults == []


def column(page, number):
    return page.eval_on_selector_all(
        "table[data-sortable] tbody tr:not([hidden])", "(rows, n) => rows.map((row) => row.cells[n].dataset.value)", number
    )


def test_sorting_by_click_and_by_keyboard(page, site):
    page.goto((site / "index.html").as_uri())
    accuracy, name = page.locator("th[data-key=accuracy]"), page.locator("th[data-key=ram]")
    accuracy.get_by_role("button").click()
    assert accuracy.get_attribute("aria-sort") == "descending"
    values = [float(value) for value in column(page, 3)]
    assert values == sorted(values, reverse=True)
    name.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert (name.get_attribute("aria-sort"), accuracy.get_attribute("aria-sort")) == ("ascending", None)
    values = [float(value) for value in column(page, 5)]
    assert values == sorted(values)
    page.keyboard.press("Space")
    assert [float(value) for value in column(page, 5)] == sorted(values, reverse=True)


def test_filters_narrow_the_table_and_stand_in_the_address(page, site):
    page.goto((site / "index.html").as_uri())
    everything = page.locator("table[data-sortable] tbody tr").count()
    page.locator("select[name=dataset]").select_option("mnist")
    assert set(column(page, 1)) == {"mnist"} and len(column(page, 1)) == 4
    page.get_by_label("RAM at most").fill("8")
    assert all(float(value) <= 8192 for value in column(page, 5)) and column(page, 5)
    assert page.get_by_role("status").inner_text() == f"{len(column(page, 5))} of {everything} models"
    page.locator("th[data-key=flash]").get_by_role("button").click()
    shown, address = column(page, 6), page.url
    assert address.endswith("#?dataset=mnist&ram=8&sort=flash")
    page.goto("about:blank")
    page.goto(address)
    assert column(page, 6) == shown
    page.locator(".mz-filters button[type=reset]").click()
    page.wait_for_function(
        "n => document.querySelectorAll('table[data-sortable] tbody tr:not([hidden])').length === n", arg=everything
    )


def test_words_filter_too(page, site):
    page.goto((site / "index.html").as_uri())
    page.get_by_label("Text").fill("DIGITS tiny")
    assert column(page, 1) == ["digits"] and column(page, 2) == ["tiny-2k"]
    page.get_by_label("Text").fill("nothing like it")
    assert column(page, 1) == [] and page.get_by_role("status").inner_text().startswith("0 of ")


def test_from_the_home_page_to_a_download(page, site):
    page.goto((site / "index.html").as_uri())
    page.locator("table[data-sortable] tbody tr[data-dataset=fashion-mnist][data-target=cortex-m4-64k] th a").click()
    assert page.url == (site / MODEL).as_uri()
    href = page.get_by_role("link", name="model.tflite", exact=True).get_attribute("href")
    assert (site / MODEL).parent.joinpath(href).is_file()


def test_a_mark_leads_to_its_model(page, site):
    page.goto((site / "index.html").as_uri())
    page.locator(".mz-scatter a[href='models/digits/tiny-2k/brisk-wren/index.html'] path").click()
    assert page.url.endswith("models/digits/tiny-2k/brisk-wren/index.html")


def test_dark_mode_toggles_and_drawings_follow(page, site):
    page.goto((site / MODEL).as_uri())
    fill = "getComputedStyle(document.querySelector('.mz-box-title')).fill"
    before = page.evaluate(fill)
    page.get_by_role("button", name="Switch to dark mode").click()
    assert page.locator("body").get_attribute("data-md-color-scheme") == "slate"
    assert page.evaluate(fill) != before


def test_search_works_from_a_file(page, site):
    page.goto((site / "index.html").as_uri())
    page.get_by_placeholder("Search").click()
    page.keyboard.type("aging evolution")
    page.locator(".md-search-result__item a").first.wait_for()


def test_markup_in_a_card_is_words(page, site):
    page.goto((site / "models/digits/cortex-m0plus-8k/hostile/index.html").as_uri())
    assert page.title() != "hacked"
    assert "<script>document.title='hacked'</script>" in page.locator("#limits + ul").inner_text()


def test_without_script_the_table_and_plots_are_there(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "index.html").as_uri())
    assert page.locator("table[data-sortable] tbody tr").count() == 13
    assert page.locator(".mz-scatter").count() == 3
    assert not page.locator(".mz-filters").is_visible()
    context.close()
