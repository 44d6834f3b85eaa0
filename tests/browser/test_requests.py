"""No page asks another host for anything, and none is heavy: bytes as a host sends them, text compressed by gzip."""

import pytest

from .kinds import GENERATED, HOSTILE, MODEL
from .serving import serving

pytestmark = pytest.mark.browser

HOME_LIMIT, MODEL_LIMIT = 300_000, 200_000


@pytest.mark.parametrize("name", [*GENERATED, HOSTILE, "404.html"])
def test_over_http_a_page_asks_for_nothing_that_is_missing_or_elsewhere(visit, host, name):
    page = visit(name, host=host)
    page.wait_for_load_state("networkidle")
    asked = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert asked and all(address.startswith((host.address, "blob:", "data:")) for address in asked)


def test_a_request_elsewhere_would_be_noticed(visit):
    page = visit("index.html")
    page.evaluate("new Image().src = 'https://example.org/x.png'")
    page.evaluate("fetch('http://127.0.0.1:9/').catch(() => null)")
    assert any("asks for https://example.org/x.png" in fault for fault in page.faults)
    assert any("asks for http://127.0.0.1:9/" in fault for fault in page.faults)
    page.wait_for_timeout(100)
    page.faults.clear()


def weight(visit, site, name):
    """Bytes that a first visit transfers until nothing more is asked for, by path."""
    with serving(site) as host:
        page = visit(name, host=host)
        page.wait_for_load_state("networkidle")
        return {path: size for path, _, size in host.sent}


def test_the_home_page_with_200_entries_is_light(visit, big_site):
    sizes = weight(visit, big_site, "index.html")
    assert sum(sizes.values()) < HOME_LIMIT, sizes


@pytest.mark.parametrize("published", [True, False])
def test_a_model_page_is_light(visit, big_site, published):
    names = (
        [MODEL]
        if not published
        else [path.relative_to(big_site).as_posix() for path in big_site.glob("models/fashion-mnist/*/*/index.html")][:1]
    )
    sizes = weight(visit, big_site, names[0])
    assert sum(sizes.values()) < MODEL_LIMIT, sizes
