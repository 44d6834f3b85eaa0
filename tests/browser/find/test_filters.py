"""The finder of the home page against an oracle that reads the cards: filters, order, times, units, addresses."""

import pytest

from microzoo.pages.boards import load_boards, target_boards
from microzoo.spec.load import load_folder
from microzoo.spec.models import TargetSpec

from ...pages.cards import DATASETS  # noqa: TID252  # tests are no package
from ...pages.sites import ROOT  # noqa: TID252
from .oracle import ROWS, fits, marks, milliseconds, shown

pytestmark = pytest.mark.browser
KB = 1024
STATES = {
    "#?ram=1.5": {"ram": 1.5 * KB},
    "#?flash=20&ram=8": {"ram": 8 * KB, "flash": 20 * KB},
    "#?flash=20&unit=kB": {"flash": 20_000},
    "#?ram=2048&unit=B&dataset=digits": {"ram": 2048, "dataset": "digits"},
    "#?q=MNIST+M4&target=cortex-m4-64k": {"words": "mnist m4", "target": "cortex-m4-64k"},
    "#?clock=80&core=cortex-m4&ms=1": {"clock": 80, "core": "cortex-m4", "ms": 1},
    "#?ms=3": {"ms": 3},
    "#?board=nucleo-l031k6": {"ram": 8192, "flash": 32_768, "clock": 32, "core": "cortex-m0plus"},
    "#?board=cortex-m4-64k&dataset=mnist": {"ram": 65_536, "flash": 65_536, "clock": 64, "core": "cortex-m4", "dataset": "mnist"},
    "#?board=cortex-m55-u55": {"ram": 262_144, "flash": 1_048_576, "clock": 160, "core": "cortex-m55", "npu": True},
    "#?q=nothing+like+it": {"words": "nothing like it"},
}


@pytest.mark.parametrize("state", STATES)
def test_what_is_shown_fits_and_nothing_that_fits_is_missing(view, found, state):
    page = view(state)
    expected = [row.id for row in found if fits(row, **STATES[state])]
    assert shown(page) == expected
    assert page.get_by_role("status").inner_text() == f"{len(expected)} of {len(found)} models"


def test_the_states_above_tell_models_apart(found):
    counts = [sum(fits(row, **wanted) for row in found) for wanted in STATES.values()]
    assert sum(0 < count < len(found) for count in counts) >= 8, counts


def test_a_board_fills_in_its_figures_and_a_change_of_one_lets_go_of_it(view, found):
    page = view()
    page.get_by_label("Board").select_option(label="ST Nucleo-L432KC (64.0 KB, Cortex-M4)")
    values = [page.locator(f"[name={name}]").input_value() for name in ("ram", "flash", "clock", "core")]
    assert values == ["64", "256", "80", "cortex-m4"]
    assert page.url.endswith("#?board=nucleo-l432kc")
    page.get_by_label("RAM at most").fill("2")
    assert page.locator("[name=board]").input_value() == ""
    assert page.url.endswith("#?clock=80&core=cortex-m4&flash=256&ram=2")
    assert shown(page) == [row.id for row in found if fits(row, ram=2 * KB, flash=256 * KB, clock=80, core="cortex-m4")]


def test_every_board_of_the_data_and_of_the_targets_is_offered(view):
    page = view()
    offered = page.eval_on_selector_all("[name=board] option[value]", "all => all.map((one) => one.value).filter(Boolean)")
    targets = load_folder(ROOT / "specs" / "targets", TargetSpec)
    known = [*target_boards(targets), *load_boards(ROOT / "site" / "data" / "boards.toml")]
    assert offered == [board.id for board in known]
    assert {name for spec in targets.values() for name in spec.boards} <= {board.name for board in known}


@pytest.mark.parametrize("key", ["ram", "flash", "macs", "instructions", "accuracy", "bytes", "date", "name"])
def test_every_column_sorts_and_what_is_missing_comes_last(view, found, key):
    def value(row):
        cell = getattr(row, key)
        return cell.value if hasattr(cell, "data") else (cell or None)

    for sign in ("", "-"):
        page = view(f"#?sort={sign}{key}")
        by_id = {row.id: value(row) for row in found}
        values = [by_id[name] for name in shown(page)]
        present = [each for each in values if each is not None]
        order = (lambda name: int(name.rpartition("-")[2]) if "-" in name else len(found)) if key == "name" else None
        assert present == sorted(present, key=order, reverse=sign == "-") and len(values) == len(found)
        assert values[: len(present)] == present, "a missing one stands before another"
    assert any(value(row) is None for row in found) == (key in ("instructions", "date"))


def test_times_are_estimated_from_instructions_and_said_to_be(view, found):
    page = view("#?clock=100&core=cortex-m4&sort=time")
    times = page.eval_on_selector_all(
        ROWS, "rows => rows.map((row) => [row.dataset.entry, row.querySelector('.mz-time').dataset.value])"
    )
    by_id = {row.id: milliseconds(row, 100, "cortex-m4") for row in found}
    assert [float(time) if time else None for _, time in times] == pytest.approx([by_id[name] for name, _ in times])
    present = [by_id[name] for name, _ in times if by_id[name] is not None]
    assert present == sorted(present) and None in by_id.values() and times[-1][1] == ""
    head = page.locator("th[data-key=time]")
    assert head.is_visible() and "estimated" in head.inner_text()
    assert page.locator("#mz-time-note").is_visible() and "estimated" in page.locator("#mz-time-note").inner_text()
    page.get_by_label("Clock").fill("")
    assert not head.is_visible() and not page.locator("#mz-time-note").is_visible()


def _drawn(page):
    """What is seen of a plot: its frame, its front and its marks."""
    figure = page.locator("figure[data-plot=mnist]")
    return (
        figure.locator(".mz-frame").inner_html(),
        figure.locator("path.mz-front").first.get_attribute("d"),
        marks(page, "mnist"),
    )


def test_a_view_survives_reload_and_being_shared(look):
    page = look()
    page.get_by_label("Board").select_option("stm32f746g-disco")
    page.locator("[name=dataset]").select_option("mnist")
    page.get_by_label("Text").fill("m4 mnist")
    page.get_by_label("Plot accuracy against").select_option("flash")
    page.get_by_label("hide what others published").check()
    page.get_by_label("Plot accuracy against").select_option("macs")
    page.locator("[name=unit]").select_option("kB")
    page.locator("th[data-key=flash]").get_by_role("button").click()
    page.locator("th[data-key=flash]").get_by_role("button").click()

    def view(page):
        fields = page.eval_on_selector_all(
            "form [name]", "all => all.map((one) => [one.name, one.type == 'checkbox' ? one.checked : one.value])"
        )
        return (
            shown(page),
            fields,
            _drawn(page),
            page.locator(f"{ROWS} td").all_inner_texts(),
        )

    before = view(page)
    address = page.url
    assert address.split("#")[1] == "?board=stm32f746g-disco&dataset=mnist&q=m4+mnist&rivals=no&unit=kB&x=macs&sort=-flash"
    assert before[0] and dict(before[1])["ram"] == "327.68"
    page.reload()
    assert view(page) == before and page.url == address
    assert view(look("#" + address.split("#")[1])) == before


def test_clear_shows_everything_again(look, found):
    page = look("#?board=nucleo-l031k6&q=digits&unit=B")
    page.locator(".mz-find button[type=reset]").click()
    page.wait_for_function("count => document.querySelector('output').textContent.startsWith(count)", arg=f"{len(found)} of")
    assert shown(page) == [row.id for row in found] and page.url.endswith("#")


def test_units_change_what_is_written_and_keep_the_limits(view):
    page = view("#?ram=2&flash=16")
    before = shown(page)
    assert before
    cell = page.locator(f"{ROWS} >> nth=0").locator("td").nth(4)
    value = int(cell.get_attribute("data-value"))
    served = cell.inner_text()
    assert served == f"{value} B" if value < 1024 else f"{value / 1024:.1f} KB"
    for unit, words in (("B", f"{value:,} B"), ("kB", f"{value} B" if value < 1000 else f"{value / 1000:.1f} kB"), ("", served)):
        page.locator("[name=unit]").select_option(unit)
        assert cell.inner_text() == words
        assert shown(page) == before
    assert [page.locator(f"[name={name}]").input_value() for name in ("ram", "flash")] == ["2", "16"]


def test_without_script_the_table_is_whole_and_the_forms_stay_away(look, found):
    page = look(java_script_enabled=False)
    assert shown(page) == [row.id for row in found]
    assert page.locator("figure[data-plot] .mz-scatter").count() == len(DATASETS)
    for place in (".mz-find", ".mz-axis", ".mz-export", "th[data-key=time]"):
        assert not page.locator(place).first.is_visible()
    row = found[0]
    link = page.locator(f"tr[data-entry='{row.id}'] a[download]")
    assert link.get_attribute("href") == row.download


def test_a_newcomer_has_a_model_for_a_64_kb_cortex_m4_in_three_clicks(look):
    page = look()
    page.get_by_label("Board").select_option(label="Cortex-M4 with 64 KB of RAM")  # one: the board
    page.locator(f"{ROWS} th a").first.click()  # two: the model
    with page.expect_download() as caught:  # three: its file
        page.locator("a[href$='.tflite']").first.click()
    assert caught.value.path().stat().st_size > 0


def test_or_in_two(view, found):
    page = view("#?board=cortex-m4-64k")
    link = page.locator(f"{ROWS} a[download]").first
    assert link.get_attribute("download") == f"{shown(page)[0].replace('/', '-')}.tflite"
    with page.expect_download() as caught:
        link.click()
    row = next(row for row in found if row.id == shown(page)[0])
    assert caught.value.path().stat().st_size == row.bytes


@pytest.mark.parametrize("width", [390, 1600])
def test_the_page_fits_its_window(view, width):
    page = view("#?board=nucleo-l031k6&x=paper_ram")
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_row_says_why_a_figure_is_missing(found):
    missing = {row.instructions.title for row in found if row.instructions.value is None}
    assert missing == {"by <hand>", "the card has no figures.instructions: it was built before that was measured"}
    assert all(row.instructions.words == "\N{EN DASH}" for row in found if row.instructions.value is None)
