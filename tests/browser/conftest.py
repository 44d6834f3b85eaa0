"""What the tests in a browser share: two sites, one Chromium for each worker, and pages that fail their test on any fault.

`visit("index.html")` opens a page of the small site from its file, `visit("index.html", host=host)` one that `host` serves;
`dark`, `script`, `width`, `touch`, `media`, `still`, `site` choose the rest, `within` another browser, and `before` is a script
that runs before those of the page. When the test ends every page that it opened must have stayed without errors, warnings, failed
loads and requests for anything else; a test that expects one empties `page.faults`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ..conftest import NODE_PACKAGES  # noqa: TID252  # tests are no package that could be named from its root
from ..pages.sites import big_site_of, site_of, tried_site_of  # noqa: TID252
from . import trying
from .serving import Host, serving

ARGUMENTS = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # what a page asks of other hosts is noticed and never leaves
)
PATIENCE = 30_000
"""Milliseconds until something that should come is missing."""
LOCAL = ("file:", "data:", "blob:", "about:")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic entry for each dataset and target, and one whose words are markup."""
    return site_of(tmp_path_factory)


@pytest.fixture(scope="session")
def big_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published zoo and 204 synthetic entries."""
    return big_site_of(tmp_path_factory)


@pytest.fixture(scope="session")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published entries, and others that can be tried."""
    return tried_site_of(tmp_path_factory)


@pytest.fixture(scope="session")
def zoo(tried: Path) -> Path:
    """The entries that can be tried."""
    return tried.parent / "zoo"


@pytest.fixture
def tried_host(tried: Path) -> Iterator[Host]:
    """Those over http."""
    with serving(tried) as host:
        yield host


@pytest.fixture(scope="session")
def host(site: Path) -> Iterator[Host]:
    """The small site over http."""
    with serving(site) as host:
        yield host


@pytest.fixture(scope="session")
def launch(chromium: Path) -> Iterator[Callable[..., Any]]:
    """`launch("--flag")`: a Chromium that whoever started it closes."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield lambda *flags: playwright.chromium.launch(executable_path=str(chromium), args=[*ARGUMENTS, *flags])


@pytest.fixture(scope="session")
def browser(launch: Callable[..., Any]) -> Iterator[Any]:
    browser = launch()
    yield browser
    browser.close()


@pytest.fixture
def visit(browser: Any, site: Path) -> Iterator[Callable[..., Any]]:
    """Opens a page in a profile of its own, and watches it until the test ends."""
    opened = []
    small = site

    def visit(
        name: str,
        *,
        host: Host | None = None,
        site: Path | None = None,
        dark: bool = False,
        script: bool = True,
        width: int = 1280,
        height: int = 900,
        touch: bool = False,
        media: str | None = None,
        still: bool = True,
        within: Any = None,
        before: str = "",
    ) -> Any:
        context = (within or browser).new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            reduced_motion="reduce" if still else "no-preference",
            has_touch=touch,
            is_mobile=touch,
            accept_downloads=True,
        )
        if before:
            context.add_init_script(before)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.faults = faults = _watched(page, host)
        opened.append((context, faults))
        if media:
            page.emulate_media(media=media)
        page.goto(host.address + name if host else address_of(site or small, name))
        return page

    yield visit
    for context, _ in opened:
        context.close()
    assert [fault for _, faults in opened for fault in faults] == []


@pytest.fixture
def opened(visit: Callable[..., Any], tried: Path) -> Callable[..., Any]:
    """`opened(id)`: the page of an entry that can be tried; more as `visit` takes it."""

    def opened(entry_id: str, end: str = "", **how: Any) -> Any:
        page = visit(f"models/{entry_id}/index.html{end}", site=tried, **how)
        page.set_default_timeout(trying.PATIENCE)
        return page

    return opened


@pytest.fixture
def start(opened: Callable[..., Any]) -> Callable[..., Any]:
    """The same with the model running."""

    def start(entry_id: str, **how: Any) -> Any:
        return trying.run(opened(entry_id, **how))

    return start


def address_of(site: Path, name: str) -> str:
    """The file's address; `name` may end in a query or a fragment."""
    path = name.split("#")[0].split("?")[0]
    return (site / path).as_uri() + name[len(path) :]


def _watched(page: Any, host: Host | None) -> list[str]:
    """Collects what is wrong with a page while it is used."""
    faults: list[str] = []
    allowed = (*LOCAL, host.address) if host else LOCAL

    def asked(request: Any) -> None:
        if not request.url.startswith(allowed):
            faults.append(f"{page.url}: asks for {request.url}")

    def answered(response: Any) -> None:
        if response.status >= 400:
            faults.append(f"{response.url}: {response.status}")

    def said(message: Any) -> None:
        if message.type in ("error", "warning"):
            faults.append(f"{page.url}: {message.text}")

    page.on("request", asked)
    page.on("response", answered)
    page.on("websocket", lambda socket: faults.append(f"{page.url}: opens {socket.url}"))
    page.on("requestfailed", lambda request: faults.append(f"{request.url}: {request.failure}"))
    page.on("console", said)
    page.on("pageerror", lambda error: faults.append(f"{page.url}: {error}"))
    return faults


@pytest.fixture(scope="session")
def axe_source() -> str:
    """The script of axe-core."""
    return (NODE_PACKAGES / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def axe(axe_source: str) -> Callable[..., list[str]]:
    """`axe(page)`: the violations of axe's rules on a page as it stands, a line each: rule, element, what is wrong.

    rules: only these, by name. besides: rules of WCAG 2.2 that axe leaves off, to be on too.
    """

    def axe(page: Any, within: str | None = None, rules: Sequence[str] = (), besides: Sequence[str] = ()) -> list[str]:
        if not page.evaluate("'axe' in window"):
            page.evaluate(axe_source)
        # It must not load the style sheets itself, which no script may do from a file; no rule that is on needs them.
        options: dict[str, Any] = {"resultTypes": ["violations"], "preload": False}
        options["rules"] = {name: {"enabled": True} for name in besides}
        if rules:
            options["runOnly"] = {"type": "rule", "values": list(rules)}
        run = "async ([within, options]) => (await axe.run(within ?? document, options)).violations"
        found = page.evaluate(run, [within, options])
        return [
            " ".join(f"{violation['id']}: {node['target']}: {node['failureSummary']}: {node['html'][:200]}".split())
            for violation in found
            for node in violation["nodes"]
        ]

    return axe
