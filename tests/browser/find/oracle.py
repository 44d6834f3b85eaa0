"""What the finder should show, worked out from the rows of the server; and what a page does show."""

import re

from microzoo.spec.cores import DEFAULT_CPI

ROWS = "table[data-sortable] tbody tr:not([hidden])"


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


def marks(page, dataset):
    """id -> (x, y) of the marks of a plot that are shown, and whether each is on the front."""
    each = "[one.dataset.entry, one.getAttribute('transform'), one.querySelector('path').matches('.mz-on-front')]"
    drawn = f"all => all.filter((one) => one.getAttribute('display') !== 'none').map((one) => {each})"
    found = page.eval_on_selector_all(f"figure[data-plot={dataset}] a[data-entry]", drawn)
    return {name: ([float(each) for each in re.findall(r"[\d.]+", place)], front) for name, place, front in found}
