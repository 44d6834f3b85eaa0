"""The lock files pin everything by hash, name no host, and hold what pyproject.toml asks for."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["tflm"]]
WEB = ROOT / "tools/web"
DEVELOPMENT = [*PROJECT["dependency-groups"]["dev"], *PROJECT["build-system"]["requires"]]


def requirements(text: str) -> list[str]:
    """The logical lines: a requirement with its hashes each."""
    return [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def test_both_locks_are_there():
    assert [path.name for path in LOCKS] == ["all.txt", "uv.txt"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_requirement_is_pinned_by_hash(lock):
    for line in requirements(lock.read_text()):
        assert re.match(r"[a-z0-9][a-z0-9-]*==\S+( ; [^-]+)? +--hash=sha256:", line), f"{lock.name}: {line[:80]}"
        assert all(re.fullmatch(r"[0-9a-f]{64}", value) for value in re.findall(r"--hash=sha256:(\S*)", line)), line[:80]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_no_lock_names_a_host_or_a_path(lock):
    for line in requirements(lock.read_text()):
        for forbidden in ("://", "@", "--index", "--extra-index", "--find-links", "file:", "/"):
            assert forbidden not in line, f"{lock.name}: {forbidden!r} in {line[:80]}"


@pytest.mark.parametrize("wanted", [*RUNTIME, *DEVELOPMENT])
def test_the_lock_satisfies_pyproject(wanted):
    requirement = Requirement(wanted)
    heads = [Requirement(line.split("--hash")[0].strip()) for line in requirements((ROOT / "requirements/all.txt").read_text())]
    locked = [head for head in heads if canonicalize_name(head.name) == canonicalize_name(requirement.name)]
    assert locked, f"{requirement.name} is not in requirements/all.txt: run `make lock`"
    for head in locked:
        (pin,) = head.specifier
        assert requirement.specifier.contains(pin.version, prereleases=True), f"{head} does not satisfy {wanted}: run `make lock`"


def mentions(name: str, text: str) -> bool:
    """Whether `text` has `name` as a word; onnx is not mentioned by onnxruntime."""
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text, re.IGNORECASE) is not None


@pytest.mark.parametrize("wanted", RUNTIME)
def test_each_dependency_has_its_reason_among_the_decisions(wanted):
    folder = ROOT / "site/pages/develop/decisions"
    pages = "\n".join(path.read_text() for path in sorted(folder.glob("*.md")))
    assert mentions(Requirement(wanted).name, pages), f"no page of {folder.relative_to(ROOT)} names {Requirement(wanted).name}"


@pytest.mark.parametrize("wanted", [*PROJECT["dependency-groups"]["dev"], "uv"])
def test_each_tool_has_its_reason_in_contributing(wanted):
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("## Tools")[2]
    assert mentions(Requirement(wanted).name, table), f"CONTRIBUTING.md, Tools: no line for {Requirement(wanted).name}"


def test_npm_packages_are_exact_and_pinned_by_hash_without_a_host():
    wanted = json.loads((WEB / "package.json").read_text())
    locked = json.loads((WEB / "package-lock.json").read_text())["packages"]
    for name, version in (wanted["dependencies"] | wanted["devDependencies"]).items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), f"{name}: {version} is a range"
        assert locked[f"node_modules/{name}"]["version"] == version, f"{name}: run `make lock`"
    packages = {place: package for place, package in locked.items() if place}
    assert len(packages) > 100
    for place, package in packages.items():
        assert package["integrity"].startswith("sha512-"), place
        assert "resolved" not in package, f"{place} names a host"
    assert "://" not in (WEB / "package-lock.json").read_text(), "an address; `make lock` leaves none"


def test_npm_runs_no_scripts_of_packages():
    settings = dict(line.split("=") for line in (WEB / ".npmrc").read_text().split())
    assert settings["ignore-scripts"] == settings["omit-lockfile-registry-resolved"] == "true"
