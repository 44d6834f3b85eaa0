"""zoo fetch from hosts and indexes that cannot be trusted: nothing wrong ever lies at its place."""

import json
import random
import re
import shutil
import subprocess

import pytest

from microzoo.catalog.fetch import fetch
from microzoo.catalog.index import INDEX, MOST_INDEX_BYTES
from microzoo.catalog.source import source_of
from microzoo.catalog.store import damage, read_entry
from microzoo.errors import FetchError

from ..pages.cards import synthetic  # noqa: TID252
from .hosts import (
    HASTY,
    ID,
    MODEL,
    PATIENT,
    address_of,
    body,
    change_index,
    current,
    cut,
    drip,
    endless,
    files_of,
    get,
    header_drip,
    nothing_is_in_place,
    patience_asked,
    reset,
    serving,
    silence,
    status,
    write_site,
)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (body(b"short", Content_Length="5"), "has 5 bytes, the index says"),
        (body(b"x" * 10, Content_Length="2147483648"), "has 2,147,483,648 bytes, the index says"),
        (endless, "has more bytes, the index says"),
        (drip, r"only \d+ bytes came|ended after|timed out"),
        (silence, "timed out"),
        (header_drip, "timed out"),
        (patience_asked, "timed out"),
        (reset, "Remote end closed|IncompleteRead|ended after|answers|BadStatus|NoHeaders|has"),
        (cut(10), "ended after"),
        (status(404), "answers 404"),
        (status(403), "answers 403"),
        (status(500), "answers 500"),
        (status(204), "answers 204"),
        (status(206, Content_Range="bytes 0-1/2"), "answers 206"),
        (status(302, Location="file:///etc/passwd"), "is redirected to 'file:///etc/passwd'"),
        (status(302, Location="ftp://127.0.0.1/x"), "is redirected to 'ftp:"),
        (status(301, Location="//"), "is redirected|refused|answers"),
        (status(302, Location="http://["), r"is redirected to 'http://\['"),
        (status(302, Location="//[::1"), r"is redirected to '//\[::1'"),
        (status(308), "is redirected more than 5 times"),
        (body(b"x" * 20, Content_Encoding="gzip", Content_Length="20"), "is sent as gzip"),
        (lambda answering: answering.wfile.write(b"SSH-2.0-x\r\n"), "SSH-2.0"),
        (lambda answering: answering.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500 + b"\r\n"), "headers"),
        (lambda answering: answering.wfile.write(b"HTTP/1.1 200 OK\r\nA: " + b"x" * 99_999), "too long|header line"),
    ],
)
@pytest.mark.parametrize("at", ["the model", "the index"])
def test_a_bad_answer_puts_nothing_in_place(host, home, site, answer, words, at):
    host.odd[address_of(site) if at == "the model" else INDEX] = answer
    with pytest.raises(FetchError) as caught:
        get(host, home, patience=HASTY if answer in (drip, silence, header_drip, patience_asked) else PATIENT)
    assert nothing_is_in_place(home) and "\n" not in str(caught.value) and "; " in str(caught.value)
    if at == "the model":
        assert re.search(words, str(caught.value)), caught.value
    host.odd.clear()
    get(host, home)
    assert damage(read_entry(home / ID)) == []


def test_an_endless_index_is_left_at_its_limit(host, home, monkeypatch):
    monkeypatch.setattr("microzoo.catalog.fetch.MOST_INDEX_BYTES", 1 << 20)
    host.odd[INDEX] = endless
    with pytest.raises(FetchError, match=r"has more bytes, at most 1,048,576 are taken"):
        get(host, home)
    host.odd[INDEX] = body(b"", Content_Length=str(MOST_INDEX_BYTES + 1))
    with pytest.raises(FetchError, match=r"index\.json has 33,554,433 bytes"):
        get(host, home)


def test_errors_that_will_not_pass_are_not_asked_for_again(host, home, site):
    address = address_of(site)
    for answer, times in ((status(404), 1), (status(500), 3), (status(429), 3), (body(b"x", Content_Length="1"), 1)):
        host.odd[address] = answer
        host.asked.clear()
        with pytest.raises(FetchError):
            get(host, home)
        assert [path for path, _ in host.asked].count(address) == times


def test_redirects_within_http_are_followed(host, home, site, entry):
    host.odd[INDEX] = [status(302, Location="/moved/to/index")]
    host.odd["moved/to/index"] = [status(307, Location=f"{host.url}models/../index.json?x=1")]
    host.odd["models/../index.json?x=1"] = body((site / INDEX).read_bytes())
    assert files_of(get(host, home).folder) == files_of(entry)


def test_a_redirect_in_a_circle_ends(host, home):
    host.odd[INDEX] = status(302, Location="/b")
    host.odd["b"] = status(302, Location=f"/{INDEX}")
    with pytest.raises(FetchError, match="is redirected more than 5 times"):
        get(host, home)
    assert len(host.asked) == 6


def test_https_is_never_left_for_http():
    from email.message import Message

    from microzoo.catalog.source import _redirected

    headers = Message()
    headers["Location"] = "http://example.org/x"
    with pytest.raises(FetchError, match="from https to"):
        _redirected("https://example.org/", "https://example.org/", headers)
    assert _redirected("http://example.org/", "http://example.org/", headers) == "http://example.org/x"


def test_over_https_the_certificate_decides(site, home, entry, tmp_path, monkeypatch):
    """One that nobody vouches for is refused at once; the same host is fine once the system trusts it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    make += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(make, check=True, capture_output=True)
    with serving(site, certificate=(certificate, key)) as host:
        assert host.url.startswith("https://")
        with pytest.raises(FetchError, match="certificate is not to be trusted"):
            get(host, home)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert files_of(get(host, home).folder) == files_of(entry)


@pytest.mark.parametrize("path", [MODEL, "card.json", "build.json"])
def test_one_wrong_bit_is_found(host, home, site, path):
    address = address_of(site, path)
    content = bytearray((site / address).read_bytes())
    content[len(content) // 2] ^= 1
    (site / address).write_bytes(content)
    with pytest.raises(FetchError, match=rf"{path} has another SHA-256 than the index says"):
        get(host, home)
    assert nothing_is_in_place(home)


def test_an_index_that_lies_about_a_file_is_caught_by_the_card(host, home, site):
    """Bytes and SHA-256 in the index fit a planted file; the card, which the version stands for, does not."""
    import hashlib

    planted = b"another model"
    (site / address_of(site)).write_bytes(planted)

    def change(version):
        file = next(file for file in version["files"] if file["path"] == MODEL)
        file |= {"bytes": len(planted), "sha256": hashlib.sha256(planted).hexdigest()}

    change_index(site, change)
    with pytest.raises(FetchError, match=r"card and index do not list the same files, see model\.tflite"):
        get(host, home)
    assert nothing_is_in_place(home)


@pytest.mark.parametrize("change", ["more", "less"])
def test_an_index_with_other_files_than_the_card_is_caught(host, home, site, change):
    def other(version):
        if change == "more":
            first = next(file for file in version["files"] if file["path"] == MODEL)
            version["files"].append(first | {"path": "run_me.sh"})
        else:
            version["files"] = [file for file in version["files"] if file["path"] != MODEL]

    change_index(site, other)
    with pytest.raises(FetchError, match=r"see (run_me\.sh|model\.tflite)"):
        get(host, home)
    assert nothing_is_in_place(home)


def test_a_card_of_another_entry_is_caught(host, home, site):
    index = (site / INDEX).read_text().replace(f'"id":"{ID}"', '"id":"digits/cortex-m0plus-8k/other"')
    (site / INDEX).write_text(index)
    with pytest.raises(FetchError, match=f"its card is that of '{ID}'"):
        get(host, home, "digits/cortex-m0plus-8k/other")
    assert not (home / "digits").exists()


def test_a_card_of_tomorrow_can_be_fetched(tmp_path, home):
    """Fields that this program does not know are no reason to refuse a model."""
    import hashlib

    synthetic().write(tmp_path / "zoo")
    write_site(tmp_path / "zoo", tmp_path / "site")
    address = tmp_path / "site" / address_of(tmp_path / "site", "card.json")
    newer = json.dumps(json.loads(address.read_text()) | {"schema_version": 99, "news": [1]}).encode()
    address.write_bytes(newer)
    digest = hashlib.sha256(newer).hexdigest()

    def change(version):
        version["version"] = digest[:12]
        next(file for file in version["files"] if file["path"] == "card.json").update(bytes=len(newer), sha256=digest)

    change_index(tmp_path / "site", change)
    assert fetch(f"{ID}@{digest}", source_of(str(tmp_path / "site")), home).version == digest[:12]


def test_a_list_of_versions_of_another_entry_is_refused(host, home, site):
    path = site / f"models/{ID}/versions" / INDEX
    path.write_text(path.read_text().replace(f'"id":"{ID}"', '"id":"a/b/c"'))
    with pytest.raises(FetchError, match=r"lists the versions of a/b/c"):
        get(host, home, f"{ID}@{'0' * 12}")


def test_random_answers_never_put_a_wrong_file_in_place(host, home, site, entry):
    """Every request is answered by chance, for many rounds: in the end it is the entry, and until then there is nothing."""
    rng = random.Random(5)
    good = lambda answering: answering.as_it_should()  # noqa: E731
    odd = [cut(0), cut(1), cut(900), status(404), status(500), status(416), body(b""), body(b"x" * 5000), reset]
    odd += [status(206, Content_Range="bytes 0-1/2"), status(302, Location="/x"), body(b"{}", Content_Length="2")]
    addresses = [INDEX, *(file["address"] for file in current(site)["files"])]
    failures = 0
    for _ in range(60):
        for address in addresses:
            host.odd[address] = [rng.choice([good, good, rng.choice(odd)]) for _ in range(4)]
        try:
            get(host, home)
        except FetchError:
            failures += 1
            assert nothing_is_in_place(home)
            continue
        assert files_of(home / ID) == files_of(entry)
        shutil.rmtree(home)
    assert 5 < failures < 60
