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
