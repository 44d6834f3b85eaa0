"""What a person can take from a model's page is what the page says it is: name, size, SHA-256; with scripts and without."""

import hashlib
import json
import re
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from .kinds import MODEL
from .serving import serving

pytestmark = pytest.mark.browser

SHA = re.compile(r"\b[0-9a-f]{64}\b")


def offers(page):
    """(address, text of the row) of each row of a table that offers a file of the entry with a checksum."""
    rows = page.locator("tr:has(a[href*='files/'])").all()
    found = [(row.locator("a[href*='files/']").first.get_attribute("href"), row.text_content()) for row in rows]
    return [(urljoin(page.url, href), text) for href, text in found if SHA.search(text)]


def published(site):
    """Pages of the entries of the published zoo, in the big site."""
    made = [
        path
        for path in site.glob("models/*/*/*/index.html")
        if "not a real model" not in (path.parent / "files/c/model.h").read_text()[:200]
    ]
    return sorted(path.relative_to(site).as_posix() for path in made)


def test_every_download_of_published_models_has_the_size_and_checksum_that_its_page_gives(browser, big_site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    names = published(big_site)
    assert len(names) >= 3
    for name in names:
        page.goto((big_site / name).as_uri())
        seen = {}
        for address, text in offers(page):
            content = (big_site / unquote(urlsplit(address).path.removeprefix(str(big_site) + "/"))).read_bytes()
            assert SHA.findall(text) == [hashlib.sha256(content).hexdigest()], address
            assert f"{len(content):,}" in text or str(len(content)) in text, (
                f"{address}: {len(content)} bytes are not in {text!r}"
            )
            seen[address] = content
        listed = json.loads((big_site / name).with_name("files").joinpath("card.json").read_text())["files"]
        missing = {file["path"] for file in listed} - {address.split("/files/")[1] for address in seen}
        assert missing == set()
    context.close()


def test_a_click_downloads_the_file(visit, site):
    with serving(site) as host:
        page = visit(MODEL, host=host)
        ((address, text),) = [offer for offer in offers(page) if offer[0].endswith("/model.tflite")]
        with page.expect_download() as started:
            page.locator("tr:has(a[href$='files/model.tflite'])").first.get_by_role("link").first.click()
        content = started.value.path().read_bytes()
    assert started.value.suggested_filename.endswith(".tflite")
    assert hashlib.sha256(content).hexdigest() in text
    assert [status for path, status, _ in host.sent if address.endswith(path)] == [200]
