"""The last stage: from the zoo to the site, with the folder that holds mkdocs.yml found from the specs or from here."""

from __future__ import annotations

import functools
import http.server
from collections.abc import Callable, Sequence
from pathlib import Path

from microzoo.build.report import Report
from microzoo.catalog.source import source_of
from microzoo.errors import SiteError
from microzoo.pages.publish import CONFIGURATION, Earlier, build_site


def specs_folder(paths: Sequence[Path]) -> Path:
    """The folder that the first of the spec paths lies in, or is."""
    return paths[0] if paths[0].is_dir() else paths[0].parent


def project_root(specs: Path) -> Path:
    """The nearest folder with mkdocs.yml, above the specs or above the current folder. Raises SiteError where there is none."""
    for start in (specs.resolve(), Path.cwd()):
        for folder in (start, *start.parents):
            if (folder / CONFIGURATION).is_file():
                return folder
    raise SiteError(f"{specs}: no {CONFIGURATION} in this folder or above it", "run in a checkout of the project")


def render(
    root: Path, zoo: Path, site: Path, report: Report, *, previous: str | None = None, versions: int | None = None
) -> Path:
    """Renders the site and gives its first page.

    root: as `project_root` gives it; previous: address or folder of a former site whose versions are kept, at most `versions`
    earlier ones of a model. Raises SiteError where `previous` is empty, as of a variable that was not set, since all versions
    would be lost in silence, and where `versions` is given without it.
    """
    if previous == "":
        raise SiteError("--previous: is empty", "give the address or the folder of the site, or leave the option out")
    if previous is None and versions is not None:
        raise SiteError(f"--versions {versions}: of which site?", "give --previous too, or leave the option out")
    earlier = None if previous is None else Earlier(source_of(previous), versions)
    pages = build_site(root, zoo, site, earlier=earlier)
    report.note(f"rendered {pages} pages")
    return site.resolve() / "index.html"


def serve(site: Path, port: int, say: Callable[[str], None]) -> None:
    """Serves the rendered site on this machine only, until Ctrl-C. Raises SiteError where the port is taken."""
    handler = functools.partial(_Quiet, directory=str(site))
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise SiteError(f"--port {port}: cannot be opened: {error.strerror}", "choose another port") from error
    with server:
        say(f"serving on http://127.0.0.1:{port}/ until Ctrl-C")
        server.serve_forever()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
        """Says nothing: one line a request helps nobody."""
