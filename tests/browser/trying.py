"""What the tests of all try-outs ask of a page."""

import re

PATIENCE = 60_000  # milliseconds: 14 MB of wasm are compiled


def run(page):
    page.get_by_role("button", name="Run the model here").click()
    page.locator(".mz-try-best").wait_for()
    assert page.locator(".mz-try-fault").inner_text() == ""
    return page


def column(page, number):
    """The numbers in a column of the table of scores, from 1."""
    cells = page.locator(f".mz-try-scores tbody td:nth-child({number})").all_inner_texts()
    return [int(cell) for cell in cells]


def shown_class(page):
    return page.locator(".mz-try-scores tbody .mz-try-best th").inner_text()


def said(page, words):
    page.locator(".mz-try-verdict", has_text=re.compile(re.escape(words))).wait_for()


def listen(page):
    """From now on `verdicts` in the page holds all that is said: what stands there for a second only might be seen too late."""
    page.evaluate(
        "() => { window.verdicts = []; const said = document.querySelector('.mz-try-verdict');"
        " new MutationObserver(() => verdicts.push(said.textContent)).observe(said, { childList: true }); }"
    )


def scores_of(entry, raw):
    """What the published wasm says to raw values (H, W, C), prepared in Python."""
    from microzoo.build.golden import quantise_raw
    from microzoo.graph.integer import Quantisation
    from microzoo.measure.runtimes import WasmRuntime
    from microzoo.spec.dataset import Preprocess

    how = Preprocess(**entry.card.preprocessing.model_dump(exclude={"raw_type"}))
    prepared = quantise_raw(raw[None], how, Quantisation(entry.card.input.scale, entry.card.input.zero_point))
    return WasmRuntime().run(entry.folder / "model.wasm", prepared)[0].tolist()
