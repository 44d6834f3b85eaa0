"""The commands of a model's page, taken from the page as a reader copies them, and run."""

import functools
import http.server
import os
import shutil
import subprocess
import threading
from unittest.mock import patch

import pytest

from microzoo.catalog.fetch import fetch
from microzoo.catalog.source import source_of

from .test_home import MODEL

pytestmark = pytest.mark.browser


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments):
        pass


@pytest.fixture
def address(site):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=functools.partial(server.serve_forever, 0.01))
    thread.start()
    with patch.dict(os.environ, no_proxy="127.0.0.1"):
        yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def commands(browser, url):
    page = browser.new_page()
    page.goto(url)
    found = page.eval_on_selector_all("code[id^=take-]", "(all) => all.map((each) => each.textContent.trim())")
    notes = page.locator(".mz-take-note:visible").count()
    page.close()
    assert notes == 0
    return found


def test_the_commands_name_where_the_page_came_from_and_work(browser, site, address, tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    everything, alone, _ = commands(browser, f"{address}{MODEL}?x=1#downloads")
    for number, command in enumerate((everything, alone)):
        folder = tmp_path / str(number)
        folder.mkdir()
        done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 0 and done.stdout.endswith(": OK\n"), done.stderr
    assert (tmp_path / "1" / "model.tflite").read_bytes() == (site / MODEL).with_name("files").joinpath(
        "model.tflite"
    ).read_bytes()
    digit = alone.split("echo '")[1][0]
    wrong = alone.replace(f"echo '{digit}", f"echo '{'0' if digit != '0' else '1'}")
    assert subprocess.run(["sh", "-c", wrong], cwd=tmp_path, capture_output=True, check=False, timeout=30).returncode == 1


def test_from_a_file_the_folder_of_the_site_stands_there(browser, site, tmp_path):
    """Also where the path has what a shell would read."""
    odd = shutil.copytree(site, tmp_path / "it's $HOME & more")
    *_, by_zoo = commands(browser, (odd / MODEL).as_uri())
    words = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {by_zoo}"], capture_output=True, text=True, check=True
    ).stdout.splitlines()

    assert words[:2] == ["zoo", "fetch"] and words[3] == "--from"
    assert fetch(words[2], source_of(words[4]), tmp_path / "home").files > 0
