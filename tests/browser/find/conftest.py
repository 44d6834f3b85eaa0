"""A home page of 15 entries that the finder has to tell apart, opened anew or with another state in its address."""

import pytest

from microzoo.catalog.card import Figure
from microzoo.catalog.store import entries
from microzoo.pages.publish import build_site
from microzoo.pages.table import rows
from microzoo.spec.models import NpuSpec

from ...pages.cards import DATASETS, TARGETS, Synthetic, synthetic  # noqa: TID252  # tests are no package
from ...pages.sites import ROOT  # noqa: TID252

CORES = {"tiny-2k": "cortex-m0plus", "cortex-m0plus-8k": "cortex-m0plus"}


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
