"""The site into its folder: MkDocs in a child process builds beside the destination, the result is checked, then swapped in.

Until the new site is whole the old one stays as it was.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from microzoo.catalog.files import writing
from microzoo.catalog.store import Entry, damage, entries
from microzoo.errors import SiteError, ToolMissingError
from microzoo.pages import links

CONFIGURATION = "mkdocs.yml"
SIGN = "assets/microzoo.css"
"""What every site of ours holds: a folder without it is somebody else's and never replaced."""
ZOO_VARIABLE = "MICROZOO_ZOO"
_SHOWN = 20
_MESSAGE = re.compile(r"^(?:ERROR|WARNING)\s+-\s+(.*)", re.MULTILINE)


def build_site(root: Path, zoo: Path, site: Path, *, read: Callable[[Path], Sequence[Entry]] = entries) -> int:
    """Renders the zoo into `site` and gives the number of its pages.

    root: the project, with mkdocs.yml and site/; zoo: the folder of entries; site: the destination, replaced as a whole;
    read: gives the entries, here to refuse a damaged zoo before anything is rendered.
    Raises CatalogError or SiteError naming entry and field, or page and link; StorageError where the disk does not let it.
    """
    root, zoo, site = root.resolve(), zoo.resolve(), site.resolve()
    configuration = root / CONFIGURATION
    if not configuration.is_file():
        raise SiteError(f"{configuration}: is missing", "run in the root of the project")
    _check_place(root, zoo, site)
    hurt = [problem for entry in read(zoo) for problem in damage(entry)]
    if hurt:
        raise SiteError(_several(hurt), "restore the files or build the entry again")
    with writing(site):
        site.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{site.name}-new-", dir=site.parent))
        try:
            _mkdocs(configuration, zoo, beside)
            wrong = links.problems(beside)
            if wrong:
                raise SiteError(_several(wrong), "mend the link, or what it leads to")
            beside.chmod(0o755)
            _swap(beside, site)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return sum(1 for _ in site.rglob("*.html"))


def _check_place(root: Path, zoo: Path, site: Path) -> None:
    """The destination is replaced as a whole, so it must not hold anything that is not ours."""
    for kept in (root, zoo, root / "site"):
        if kept == site or kept.is_relative_to(site) or (kept != root and site.is_relative_to(kept)):
            raise SiteError(f"--site {site}: would replace {kept}", "choose another folder, for instance build/site")
    if site.exists() and not (site.is_dir() and (not any(site.iterdir()) or (site / SIGN).is_file())):
        raise SiteError(f"--site {site}: holds something that is no site", "choose a new or an empty folder")


def _mkdocs(configuration: Path, zoo: Path, destination: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(configuration)]
    environment = os.environ | {ZOO_VARIABLE: str(zoo), "NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command += ["--site-dir", str(destination)]
    done = subprocess.run(command, cwd=configuration.parent, env=environment, capture_output=True, text=True, check=False)
    if "No module named mkdocs" in done.stderr:
        raise ToolMissingError("MkDocs is not installed", "install microzoo with its dependencies")
    # Not `--quiet`: it would swallow the warnings that `--strict` fails on.
    messages = _MESSAGE.findall(done.stderr)
    if done.returncode or messages:
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:] or [f"MkDocs ended with {done.returncode}"]
        raise SiteError(_several(messages or last))


def _swap(new: Path, place: Path) -> None:
    old = place.with_name(f".{place.name}-old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _several(lines: Sequence[str]) -> str:
    more = f"\n... and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return "\n".join(lines[:_SHOWN]) + more
