"""The versions that a former site published, fetched and verified, into a folder laid out as a site has them.

So the site that is published last is the archive of all before it: nothing else has to be kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from microzoo.catalog.download import download, read_all
from microzoo.catalog.files import writing
from microzoo.catalog.index import INDEX, MOST_INDEX_BYTES, File, Version, Versions, as_json, read_index, read_versions
from microzoo.catalog.source import Patience, Source
from microzoo.catalog.versions import list_address, versions_folder
from microzoo.errors import FetchError


def carry_over(
    source: Source, folder: Path, known: Mapping[str, Path], most: int | None = None, patience: Patience | None = None
) -> int:
    """Puts the versions of all entries below `folder` and gives how many there are.

    known: SHA-256 -> a file of this machine with these bytes, copied instead of fetched; most: how many earlier versions of an
    entry are wanted, None is all. Raises FetchError naming address and cause where anything is missing or damaged: a site without
    them would be the end of these versions.
    """
    patience = patience or Patience()
    index = read_index(read_all(source, INDEX, MOST_INDEX_BYTES, patience), f"{source.name}: {INDEX}")
    addresses = {each.id: each.versions for each in index.entries} | {each.id: each.versions for each in index.withdrawn}
    here = dict(known)
    count = 0
    for entry_id, address in addresses.items():
        found = read_versions(read_all(source, address, MOST_INDEX_BYTES, patience), f"{source.name}: {address}")
        if found.id != entry_id:
            raise FetchError(f"{source.name}: {address} lists the versions of {found.id}, not of {entry_id}", "mend the site")
        versions = found.versions if most is None else found.versions[: most + 1]
        for version in versions:
            _check_addresses(source, entry_id, version)
            for file in (*version.files, version.bundle):
                _bring(source, file, folder / file.address, here, patience)
        count += len(versions)
        place = folder / list_address(entry_id)
        with writing(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(as_json(Versions(id=entry_id, current=found.current, versions=versions)))
    return count


def move_versions(folder: Path, site: Path) -> None:
    """Moves what `carry_over` fetched into a rendered site: the versions that this site's lists name."""
    for path in sorted(site.glob(f"{versions_folder('*/*/*')}/{INDEX}")):
        listed = read_versions(path.read_bytes(), str(path))
        for version in listed.versions:
            kept = folder / versions_folder(listed.id) / version.version
            if kept.is_dir():
                kept.rename(path.parent / version.version)


def _check_addresses(source: Source, entry_id: str, version: Version) -> None:
    """Files of a version lie in its folder, or they would be put over pages of the new site."""
    start = f"{versions_folder(entry_id)}/{version.version}/"
    for file in (*version.files, version.bundle):
        if file.address != start + file.path:
            raise FetchError(f"{source.name}: {entry_id}@{version.version}: {file.address} is not below {start}", "mend the site")


def _bring(source: Source, file: File, to: Path, here: dict[str, Path], patience: Patience) -> None:
    known = here.get(file.sha256)
    if known is not None:
        with writing(to):
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(known, to)
    download(source, file, to, patience, lambda _more: None)
    here[file.sha256] = to
