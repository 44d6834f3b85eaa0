"""Where dataset files are: the cache, Debian's packages, or the spec's addresses; verified before anybody reads them.

The cache is $MICROZOO_DATA, else $XDG_CACHE_HOME/microzoo/data, else ~/.cache/microzoo/data, one folder a dataset.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import lzma
import os
import tarfile
import tempfile
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path

from microzoo.errors import DataError, StorageError
from microzoo.spec.dataset import Source

DEBIAN_DATASETS = Path("/usr/share/datasets")
MAX_DOWNLOAD_BYTES = 2 << 30
MAX_UNCOMPRESSED_BYTES = 4 << 30
TIMEOUT_SECONDS = 60


def cache_folder() -> Path:
    """The folder that holds one folder a dataset."""
    if chosen := os.environ.get("MICROZOO_DATA"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "microzoo" / "data"


def fetch(dataset: str, source: Source) -> bytes:
    """The uncompressed, verified bytes of `source`: from the cache, from Debian's package, or downloaded into the cache.

    A file in the cache that is not what the spec names is an error, never replaced: it may be somebody's only copy.
    """
    cached = cache_folder() / dataset / source.file
    if cached.is_file():
        return _verified(cached, source)
    packaged = DEBIAN_DATASETS / dataset / source.file
    if packaged.is_file():
        return _verified(packaged, source)
    return _download(dataset, source, cached)


def is_present(dataset: str, source: Source) -> bool:
    """Whether `fetch` would find the file on this machine. Does not verify it."""
    return any((folder / dataset / source.file).is_file() for folder in (cache_folder(), DEBIAN_DATASETS))


def _verified(path: Path, source: Source) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    content = _uncompressed(path, content)
    packed = source.contents_sha256 is not None
    found = contents_digest(path, content) if packed else hashlib.sha256(content).hexdigest()
    if found != (wanted := source.contents_sha256 or source.sha256):
        what, key = ("what it holds", "contents_sha256") if packed else ("the uncompressed bytes", "sha256")
        raise DataError(
            f"{path}: SHA-256 of {what} is {found}, the spec wants {key} = {wanted}",
            "delete the file to have it fetched again, or mend the spec",
        )
    return content


def contents_digest(path: Path, archive: bytes) -> str:
    """SHA-256 over the lines "SHA-256, two blanks, name" of an archive's .wav files, sorted, as in the folder that holds all of
    them, without what lies above it, `find . -name '*.wav' -exec sha256sum {} + | sed 's,  ./,  ,' | LC_ALL=C sort | sha256sum`
    gives it.

    So the same recordings have one checksum, whoever packed them. path: for errors. Raises DataError where it is no tar archive.
    """
    found = dict(recordings(str(path), archive))
    above = len(os.path.commonpath([f"/{name.rpartition('/')[0]}" for name in found]).rstrip("/")) if found else 0
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name[above:]}\n" for name, content in found.items()]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def recordings(what: str, archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Path and content of every .wav of a tar archive. what: it, for errors. Raises DataError where it is none."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as packed:
            for member in packed:
                if member.isfile() and member.name.endswith(".wav"):
                    if member.size > len(archive):
                        raise ValueError(f"{member.name} says that it has {member.size} bytes")
                    file = packed.extractfile(member)
                    assert file is not None, member.name
                    yield member.name, file.read()
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise DataError(f"{what}: cannot be read as .tar: {error}", "delete it to have it fetched again") from error


def _uncompressed(path: Path, content: bytes) -> bytes:
    """What a file packed by gzip or xz holds, told by its first bytes; of any other file its bytes."""
    stream: gzip.GzipFile | lzma.LZMAFile
    if content.startswith(b"\x1f\x8b"):
        stream = gzip.GzipFile(fileobj=io.BytesIO(content))
    elif content.startswith(b"\xfd7zXZ\x00"):
        stream = lzma.LZMAFile(io.BytesIO(content))  # noqa: SIM115  read and closed below, as the other one
    elif path.suffix in (".gz", ".xz"):
        raise DataError(f"{path}: is neither a gzip nor an xz file, as its name says", "delete it to have it fetched again")
    else:
        return content
    try:
        with stream:
            data = stream.read(MAX_UNCOMPRESSED_BYTES + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise DataError(
            f"{path}: is a damaged or truncated compressed file ({error})", "delete it to have it fetched again"
        ) from error
    if len(data) > MAX_UNCOMPRESSED_BYTES:
        raise DataError(f"{path}: unpacks to more than {MAX_UNCOMPRESSED_BYTES >> 30} GiB")
    return data


def _download(dataset: str, source: Source, destination: Path) -> bytes:
    """Into a temporary file beside the destination, verified, then renamed: a killed download leaves nothing that counts."""
    failures = []
    for url in source.urls:
        try:
            destination.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".download-") as folder:
                partial = Path(folder) / source.file
                _copy(url, partial)
                content = _verified(partial, source)
                partial.replace(destination)
            return content
        except DataError as error:
            failures.append(f"{url}: {error}")
        except http.client.HTTPException as error:
            failures.append(f"{url}: {error!r}")
        except OSError as error:
            if error.errno is not None and error.filename is not None:
                raise StorageError(
                    f"{error.filename}: cannot be written: {error.strerror}", "set MICROZOO_DATA to a folder with room"
                ) from error
            failures.append(f"{url}: {error}")
    tried = "; ".join(failures) if failures else "the spec gives no address to download it from"
    package = f", or install Debian's package dataset-{dataset}" if dataset == "fashion-mnist" else ""
    raise DataError(f"{dataset}: {source.file} is not at {destination} ({tried})", f"put it there{package}, or set MICROZOO_DATA")


def _copy(url: str, destination: Path) -> None:
    if not url.startswith(("https://", "http://")):
        raise DataError(f"{url}: only http and https addresses are fetched")
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer, destination.open("wb") as file:  # noqa: S310  scheme checked above
        total = 0
        while chunk := answer.read(1 << 20):
            total += len(chunk)
            if total > MAX_DOWNLOAD_BYTES:
                raise DataError(f"{url}: answers with more than {MAX_DOWNLOAD_BYTES >> 30} GiB")
            file.write(chunk)
