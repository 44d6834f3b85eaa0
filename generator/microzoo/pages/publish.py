"""The site into its folder: MkDocs in a child process builds beside the destination, the result is checked, then swapped in.

Until the new site is whole the old one stays as it was, whatever ends the build. What a killed one left goes with the next, which
also brings the old site back where the kill fell between the two renames; Ctrl-C leaves nothing.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from microzoo.catalog.files import writing
from microzoo.catalog.former import carry_over, move_versions
from microzoo.catalog.source import Source
from microzoo.catalog.store import Entry, damage, entries
from microzoo.errors import SiteError, ToolMissingError
from microzoo.pages import links

CONFIGURATION = "mkdocs.yml"
SIGN = "assets/microzoo.css"
"""What every site of ours holds: a folder without it is somebody else's and never replaced."""
ZOO_VARIABLE = "MICROZOO_ZOO"
FORMER_VARIABLE, MOST_VARIABLE = "MICROZOO_FORMER", "MICROZOO_MOST_VERSIONS"
"""Folder of the versions that a former site had, and how many of an entry stay, for the child process."""
_SHOWN = 20
_MESSAGE = re.compile(r"^(?:ERROR|WARNING)\s+-\s+(.*)", re.MULTILINE)


@dataclass(frozen=True)
class Earlier:
    """The versions that a new site keeps of the one before it. most: of an entry, None is all."""

    source: Source
    most: int | None = None


def build_site(
    root: Path,
    zoo: Path,
    site: Path,
    *,
    read: Callable[[Path], Sequence[Entry]] = entries,
    earlier: Earlier | None = None,
) -> int:
    """Renders the zoo into `site` and gives the number of its pages.

    root: the project, with mkdocs.yml and site/; zoo: the folder of entries; site: the destination, replaced as a whole;
    read: gives the entries, here to refuse a damaged zoo before anything is rendered; earlier: a former site, which may be the
    one at `site`, whose versions the new one keeps.
    Raises CatalogError or SiteError naming entry and field, or page and link; FetchError where the former site is not whole;
    StorageError where the disk does not let it.
    """
    root, zoo, site = root.resolve(), zoo.resolve(), site.resolve()
    configuration = root / CONFIGURATION
    if not configuration.is_file():
        raise SiteError(f"{configuration}: is missing", "run in the root of the project")
    _check_place(root, zoo, site)
    with writing(site):
        site.parent.mkdir(parents=True, exist_ok=True)
        with _turn(site.parent) as lock:
            _recover(site)
            try:
                beside = Path(tempfile.mkdtemp(prefix=_beside(site), dir=site.parent))
                kept = Path(tempfile.mkdtemp(prefix=_kept(site), dir=site.parent))
                if earlier is not None:
                    here = {file.sha256: entry.folder / file.path for entry in _whole(read(zoo)) for file in entry.card.files}
                    carry_over(earlier.source, kept, here, earlier.most)
                with _mkdocs(configuration, zoo, beside, lock, kept, earlier.most if earlier else None) as done:
                    if earlier is None:
                        _whole(read(zoo))  # beside MkDocs, which ends where this raises
                    _refuse_warnings(done())
                move_versions(kept, beside)
                wrong = links.problems_apart(beside)
                if wrong:
                    raise SiteError(_several(wrong), "mend the link, or what it leads to")
                beside.chmod(0o755)
                _swap(beside, site)
            finally:
                _recover(site)
    return sum(1 for _ in site.rglob("*.html"))


def _check_place(root: Path, zoo: Path, site: Path) -> None:
    """The destination is replaced as a whole, so it must not hold anything that is not ours."""
    for kept in (root, zoo, root / "site"):
        if kept == site or kept.is_relative_to(site) or (kept != root and site.is_relative_to(kept)):
            raise SiteError(f"--site {site}: would replace {kept}", "choose another folder, for instance build/site")
    if site.exists() and not (site.is_dir() and (not any(site.iterdir()) or (site / SIGN).is_file())):
        raise SiteError(f"--site {site}: holds something that is no site", "choose a new or an empty folder")


@contextmanager
def _turn(folder: Path) -> Iterator[int]:
    """Waits until no other build swaps a site in this folder. A child that inherits the descriptor given keeps the turn."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _beside(site: Path) -> str:
    return f".{site.name}-new-"


def _kept(site: Path) -> str:
    return f".{site.name}-kept-"


def _old(site: Path) -> Path:
    return site.with_name(f".{site.name}-old")


def _recover(site: Path) -> None:
    """After a build that ended anywhere: the old site back if it had just been moved away, and nothing unfinished beside it."""
    if not site.exists() and _old(site).is_dir():
        _old(site).rename(site)
    unfinished = re.compile(rf"({re.escape(_beside(site))}|{re.escape(_kept(site))})\w{{8}}")  # as tempfile.mkdtemp names them
    for left in (_old(site), *(path for path in site.parent.iterdir() if unfinished.fullmatch(path.name))):
        shutil.rmtree(left, ignore_errors=True)


def _whole(found: Sequence[Entry]) -> Sequence[Entry]:
    """The entries. Raises SiteError where their files are not those that their cards list."""
    hurt = [problem for entry in found for problem in damage(entry)]
    if hurt:
        raise SiteError(_several(hurt), "restore the files or build the entry again")
    return found


@contextmanager
def _mkdocs(
    configuration: Path, zoo: Path, destination: Path, lock: int, kept: Path, most: int | None
) -> Iterator[Callable[[], tuple[int, str]]]:
    """MkDocs in a process that ends with the block. Gives what waits for its exit code and its standard error."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(configuration)]
    environment = os.environ | {ZOO_VARIABLE: str(zoo), "NO_MKDOCS_2_WARNING": "1"}
    environment |= {"OPENBLAS_NUM_THREADS": "1"}  # a process of one thread may be forked
    environment |= {FORMER_VARIABLE: str(kept), MOST_VARIABLE: "" if most is None else str(most)}
    command += ["--site-dir", str(destination)]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said,
        subprocess.Popen(
            command,
            cwd=configuration.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            pass_fds=(lock,),
        ) as process,
    ):

        def done() -> tuple[int, str]:
            code = process.wait()
            said.seek(0)
            return code, said.read()

        try:
            yield done
        finally:
            process.kill()


def _refuse_warnings(ended: tuple[int, str]) -> None:
    """Raises what MkDocs complained of, by exit code and standard error."""
    code, said = ended
    if "No module named mkdocs" in said:
        raise ToolMissingError("MkDocs is not installed", "install microzoo with its dependencies")
    # Not `--quiet`: it would swallow the warnings that `--strict` fails on.
    messages = _MESSAGE.findall(said)
    if code or messages:
        last = [line for line in said.splitlines() if line.strip()][-1:] or [f"MkDocs ended with {code}"]
        raise SiteError(_several(messages or last))


def _swap(new: Path, place: Path) -> None:
    """The new site to its place, the old one beside it: where this ends between the two renames, `_recover` puts it back."""
    if place.exists():
        place.rename(_old(place))
    new.rename(place)


def _several(lines: Sequence[str]) -> str:
    more = f"\n... and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return "\n".join(lines[:_SHOWN]) + more
