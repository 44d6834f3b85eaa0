"""The finder of the home page against an oracle that reads the cards: filters, order, times, plots, addresses, exports."""

import csv
import io
import json
import re

import pytest
from markupsafe import Markup

from microzoo.catalog.card import Figure
from microzoo.catalog.store import entries
from microzoo.pages.boards import load_boards, target_boards
from microzoo.pages.chart import value_axis
from microzoo.pages.plot import pareto
from microzoo.pages.publish import build_site
from microzoo.pages.rivals import load_rivals, of_dataset
from microzoo.pages.table import AXES, front, rows, target_names
from microzoo.spec.cores import DEFAULT_CPI
from microzoo.spec.load import load_folder
from microzoo.spec.models import NpuSpec, TargetSpec

from ..pages.cards import DATASETS, TARGETS, Synthetic, synthetic  # noqa: TID252  # tests are no package
from ..pages.sites import ROOT  # noqa: TID252

pytestmark = pytest.mark.browser
CORES = {"tiny-2k": "cortex-m0plus", "cortex-m0plus-8k": "cortex-m0plus"}
RIVALS = load_rivals(ROOT / "site" / "data" / "rivals.toml")
ROWS = "table[data-sortable] tbody tr:not([hidden])"


def entry_of(dataset, target, index):
    """Synthetic, with instructions in all but every fifth, where they could not be had; one without a build record."""
    made = synthetic(dataset, target, f"model-{index}", seed=index)
    macs = made.card.figures["macs"].value
    counted = Figure(
        value=None if index % 5 == 4 else macs * (3 + index % 4), unit="instructions", kind="emulated", method="by <hand>"
    )
    core = CORES.get(target, "cortex-m4")
    changes = {
        "figures": made.card.figures | {"instructions": counted},
        "target": made.card.target.model_copy(update={"core": core, "clock_mhz": 16.0 if core == "cortex-m0plus" else 64.0}),
    }
    return Synthetic(made.card.model_copy(update=changes), made.build, made.files)


@pytest.fixture(scope="session")
def zoo(tmp_path_factory):
    """15 entries: the pairs of dataset and target, one older without instructions, one for an NPU, one without build.json."""
    zoo = tmp_path_factory.mktemp("find") / "zoo"
    pairs = [(dataset, target) for dataset in DATASETS for target in TARGETS]
    for index, (dataset, target) in enumerate(pairs):
        entry_of(dataset, target, index).write(zoo)
    synthetic("mnist", "cortex-m4-64k", "older").write(zoo)
    (entry_of("mnist", "cortex-m4-64k", 12).write(zoo) / "build.json").unlink()
    fast = entry_of("digits", "cortex-m4-256k", 13)
    npu = NpuSpec(accelerator="ethos-u55-128", system="Ethos_U55_High_End_Embedded")
    card = fast.card.model_copy(update={"target": fast.card.target.model_copy(update={"npu": npu})})
    Synthetic(card, fast.build, fast.files).write(zoo)
    return zoo


@pytest.fixture(scope="session")
def found(zoo):
    """What the table should hold, in the order of the server."""
    return rows(entries(zoo), "")


@pytest.fixture(scope="session")
def home(zoo):
    build_site(ROOT, zoo, zoo.parent / "html")
    return (zoo.parent / "html" / "index.html").as_uri()


@pytest.fixture
def look(browser, home):
    """Opens the home page with a state in its address; fails on any script error and any request beyond the files."""
    opened, faults = [], []

    def look(state="", **options):
        context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        opened.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
        page.on(
            "request", lambda asked: faults.append(asked.url) if not asked.url.startswith(("file:", "data:", "blob:")) else None
        )
        page.goto(home + state)
        return page

    yield look
    for context in opened:
        context.close()
    assert faults == []


@pytest.fixture(scope="module")
def one_page(browser, home):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(home)
    yield page
    page.close()
    assert faults == []


@pytest.fixture
def view(one_page):
    """The same page with another state in its address, without loading it again."""

    def view(state=""):
        one_page.evaluate(
            "state => { history.replaceState(null, '', state || '#'); dispatchEvent(new HashChangeEvent('hashchange')); }", state
        )
        return one_page

    return view


def shown(page):
    return page.eval_on_selector_all(ROWS, "rows => rows.map((row) => row.dataset.entry)")


def milliseconds(row, clock, core, anyway=False):
    """The estimate by hand: instructions x cycles an instruction / clock, on the core that was emulated only."""
    if row.instructions.value is None or (core and core != row.core) or (clock is None and not anyway):
        return None
    said = None if clock else row.cycles_per_instruction
    return row.instructions.value * (said or DEFAULT_CPI[row.core]) / ((clock or row.clock_mhz) * 1e3)


def fits(row, *, ram=None, flash=None, clock=None, core=None, ms=None, npu=False, dataset=None, target=None, words=""):
    took = milliseconds(row, clock, core, anyway=ms is not None)
    return (
        (ram is None or row.ram.value <= ram)
        and (flash is None or row.flash.value <= flash)
        and (ms is None or (took is not None and took <= ms))
        and (npu or core is None or not row.npu)
        and dataset in (None, row.dataset)
        and target in (None, row.target)
        and all(word in f"{row.id} {row.core} {row.dataset_title}".lower() for word in words.lower().split())
    )


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
    page.get_by_label("Plot accuracy against").select_option("macs")
    page.get_by_label("hide what others published").check()
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


def marks(page, dataset):
    """id -> (x, y) of the marks of a plot that are shown, and whether each is on the front."""
    each = (
        "[one.dataset.entry, one.firstElementChild.getAttribute('transform'), one.querySelector('path').matches('.mz-on-front')]"
    )
    drawn = f"all => all.filter((one) => one.getAttribute('display') !== 'none').map((one) => {each})"
    found = page.eval_on_selector_all(f"figure[data-plot={dataset}] a[data-entry]", drawn)
    return {name: ([float(each) for each in re.findall(r"[\d.]+", place)], front) for name, place, front in found}


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


def download(page, format_):
    with page.expect_download() as caught:
        page.locator(f"[data-export={format_}]").click()
    return caught.value.suggested_filename, caught.value.path().read_bytes().decode("utf-8")


def test_csv_and_json_hold_what_is_shown_in_its_order(view, found):
    page = view("#?clock=50&dataset=mnist&sort=-flash")
    expected = [next(row for row in found if row.id == name) for name in shown(page)]
    assert len(expected) > 4
    name, text = download(page, "csv")
    assert name == "microzoo.csv" and text.count("\r\n") == len(expected) + 1
    table = list(csv.DictReader(io.StringIO(text)))
    name, text = download(page, "json")
    exported = json.loads(text)
    assert name == "microzoo.json" and exported["view"] == {"clock": "50", "dataset": "mnist", "sort": "-flash"}
    assert len(table) == len(exported["models"]) == len(expected)
    for line, each, model in zip(table, exported["models"], expected, strict=True):
        took = milliseconds(model, 50, None)
        wanted = {
            "id": model.id, "dataset": model.dataset, "target": model.target, "core": model.core,
            "accuracy_int8_test": model.accuracy, "test_inputs": model.n, "accuracy_int8_validation_mean": model.spread_mean,
            "accuracy_int8_validation_sd": model.spread_deviation, "seeds": model.seeds,
            "ram_bytes": model.ram.value, "ram_kind": model.ram.kind,
            "flash_bytes": model.flash.value, "flash_kind": model.flash.kind,
            "macs": model.macs.value, "instructions_emulated": model.instructions.value,
            "munas_ram_bytes": model.paper_ram.value, "munas_size_bytes": model.paper_size.value,
            "tflite_bytes": model.bytes, "built": model.date or None,
        }  # fmt: skip
        assert {key: each[key] for key in wanted} == wanted
        assert each["milliseconds_estimated"] == (None if took is None else pytest.approx(took))
        assert each["page"].endswith(model.href) and each["page"].startswith("file:")
        assert line == {key: "" if value is None else str(value) for key, value in each.items()} or _same(line, each)
    assert any(row.instructions.value is None for row in expected), "a missing figure is among them"


def _same(line, each):
    """Whether a line of CSV holds the values of an object of JSON."""
    for key, value in each.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            if float(line[key]) != value:
                return False
        elif line[key] != ("" if value is None else value):
            return False
    return set(line) == set(each)


def test_an_anchor_in_the_address_is_no_part_of_the_exported_view(view):
    view()
    page = view("#models")
    assert json.loads(download(page, "json")[1])["view"] == {}


def test_an_empty_view_exports_nothing_but_is_still_a_file(view):
    page = view("#?q=nothing+like+it")
    empty = download(page, "csv")[1]
    assert empty.count("\r\n") == 1
    assert json.loads(download(page, "json")[1])["models"] == []
    page.fill("[name=q]", "")
    assert download(page, "csv")[1].splitlines()[0] == empty.strip(), "the columns are named all the same"


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


def test_a_dataset_page_has_its_plot_and_axis_too(look, home, found):
    page = look()
    page.goto(home.replace("index.html", "datasets/mnist.html#?x=instructions&sort=ram"))
    drawn = marks(page, "mnist")
    assert set(drawn) == {row.id for row in found if row.dataset == "mnist" and row.instructions.value is not None}
    page.get_by_label("Plot accuracy against").select_option("macs")
    assert page.url.endswith("datasets/mnist.html#?x=macs&sort=ram") and len(marks(page, "mnist")) > len(drawn)


@pytest.mark.parametrize("width", [390, 1600])
def test_the_page_fits_its_window(view, width):
    page = view("#?board=nucleo-l031k6&x=paper_ram")
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_row_says_why_a_figure_is_missing(found):
    missing = {row.instructions.title for row in found if row.instructions.value is None}
    assert missing == {"by <hand>", "the card has no figures.instructions: it was built before that was measured"}
    assert all(row.instructions.words == "\N{EN DASH}" for row in found if row.instructions.value is None)
