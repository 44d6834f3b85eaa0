"""MkDocs glue: puts the pages that `microzoo.pages` renders between the written ones, with the files that entries offer.

All that depends on MkDocs' interface stands here; what the pages say does not. The zoo is the folder that the environment
variable MICROZOO_ZOO names, else `extra.zoo` of mkdocs.yml; MICROZOO_FORMER names the folder of a former site's versions.
"""

from __future__ import annotations

import gc
import html
import json
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemBytecodeCache
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page as MkDocsPage
from mkdocs.structure.toc import get_toc

from microzoo.catalog.store import entries
from microzoo.catalog.versions import former_versions
from microzoo.errors import MicrozooError
from microzoo.pages.boards import load_boards
from microzoo.pages.forked import begin
from microzoo.pages.publish import FORMER_VARIABLE, MOST_VARIABLE
from microzoo.pages.rivals import load_rivals
from microzoo.pages.site import Page, Rendered, Taking, render
from microzoo.pages.theme import mended
from microzoo.spec.dataset import DatasetSpec
from microzoo.spec.load import load_folder
from microzoo.spec.models import TargetSpec

MODELS = "models/"
"""Where all that belongs to one model lies, from the root of the site."""
_MARKER = re.compile(r"<!-- zoo:(\w+) -->")
_STAND_IN = re.compile(r"<!-- zoo-stand-in -->.*?<!-- /zoo-stand-in -->", re.DOTALL)
_state: dict[str, Any] = {}


def on_startup(*, command: str, dirty: bool) -> None:  # noqa: ARG001
    """A build keeps nearly all that it makes until it ends, so looking for garbage finds none, and took a tenth of the time."""
    if command == "build":
        gc.disable()


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Renders everything, and lists dataset and target pages in the navigation below their indexes."""
    root = Path(config.config_file_path).parent
    zoo = root / (os.environ.get("MICROZOO_ZOO") or config.extra["zoo"])
    try:
        datasets = load_folder(root / "specs" / "datasets", DatasetSpec)
        targets = load_folder(root / "specs" / "targets", TargetSpec)
        data = root / "site" / "data"
        found = {"boards": load_boards(data / "boards.toml"), "rivals": load_rivals(data / "rivals.toml")}
        taking = _taking(root, config)
        rendered = render(
            entries(zoo),
            datasets,
            targets,
            root / "site" / "templates",
            taking=taking,
            modules=root / "tools" / "web" / "node_modules",
            **found,
        )
    except MicrozooError as error:
        raise PluginError(" | ".join(str(error).splitlines())) from error
    _state["rendered"] = rendered
    _state["pages"] = {_source(page.path): page for page in rendered.pages}
    for section in config.nav or ():
        for leaves in section.values():
            if isinstance(leaves, list) and leaves and str(leaves[0]).split("/")[0] in ("datasets", "targets"):
                folder = str(leaves[0]).split("/")[0]
                leaves += [
                    _source(page.path) for page in rendered.pages if re.fullmatch(rf"{folder}/(?!index\.)[^/]+", page.path)
                ]
    return config


def _taking(root: Path, config: MkDocsConfig) -> Taking:
    """What downloads need: address, licence, and the versions of a former site."""
    licence = root / "LICENSE"
    former, most = os.environ.get(FORMER_VARIABLE), os.environ.get(MOST_VARIABLE)
    return Taking(
        address=config.site_url or "",
        licence=licence.read_text(encoding="utf-8") if licence.is_file() else "",
        former=former_versions(Path(former)) if former else {},
        most=int(most) if most else None,
    )


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds a virtual page for each generated one, and the files that written pages may link to.

    Those of the models are put into the site meanwhile: its folder is empty by now, and MkDocs writes none of them.
    """
    rendered = _rendered()
    for page in rendered.pages:
        files.append(File.generated(config, _source(page.path), content=_front_matter(page)))
    for place, content in _made(rendered).items():
        if not place.startswith(MODELS):
            files.append(File.generated(config, place, content=content))
    _state["files"] = begin(lambda: _put_files(rendered, Path(config.site_dir)))
    return files


def on_post_build(*, config: MkDocsConfig) -> None:  # noqa: ARG001
    """Waits until the files of the models are there."""
    try:
        _state.pop("files")()
    except (MicrozooError, OSError) as error:
        raise PluginError(" | ".join(str(error).splitlines())) from error


def _put_files(rendered: Rendered, site: Path) -> None:
    """The files of the models into the site: some twenty for each, with which MkDocs would take its time."""
    made = {place: content for place, content in _made(rendered).items() if place.startswith(MODELS)}
    for folder in sorted({Path(place).parent for place in (*rendered.files, *made, *rendered.documents)}):
        (site / folder).mkdir(parents=True, exist_ok=True)
    for place, source in rendered.files.items():
        shutil.copyfile(source, site / place)
    for place, content in made.items():
        (site / place).write_bytes(content)
    for place, document in rendered.documents.items():
        (site / place).write_text(document(), encoding="utf-8")


def _made(rendered: Rendered) -> dict[str, bytes]:
    return {**rendered.archives, **rendered.scripts}


def on_page_content(content: str, *, page: MkDocsPage, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """The generated HTML in place of the empty page, or the fragments that a written page asks for.

    The search plugin reads what this returns, so a page with words of its own for searching gets those until it has been read.
    """
    generated = _generated(page)
    if generated is None:
        return _MARKER.sub(lambda match: _fragment(match[1], page), content)
    page.toc = get_toc(_tokens(generated))  # type: ignore[arg-type]
    return f"<!-- zoo-stand-in -->{generated.searched}<!-- /zoo-stand-in -->" if generated.searched else generated.html


def on_env(env: Environment, *, config: MkDocsConfig, files: Files) -> Environment:  # noqa: ARG001
    """Templates do not change during a build; what they compile to is kept for the next one where there is a safe place."""
    env.auto_reload = False
    with suppress(RuntimeError):
        env.bytecode_cache = FileSystemBytecodeCache()
    return env


def on_post_page(output: str, *, page: MkDocsPage, config: MkDocsConfig) -> str:  # noqa: ARG001
    """Puts the page where its words for searching stood, and mends the theme's HTML around it."""
    generated = _generated(page)
    if generated is not None and generated.searched:
        output = _STAND_IN.sub(lambda _: generated.html, output, count=1)
    return mended(output)


def on_post_template(output_content: str, *, template_name: str, config: MkDocsConfig) -> str:  # noqa: ARG001
    """The same for the page that is shown for a missing address."""
    return mended(output_content)


def _generated(page: MkDocsPage) -> Page | None:
    pages = _state["pages"]
    assert isinstance(pages, dict)
    return pages.get(page.file.src_uri)


def _rendered() -> Rendered:
    rendered = _state["rendered"]
    assert isinstance(rendered, Rendered)
    return rendered


def _fragment(name: str, page: MkDocsPage) -> str:
    fragments = _rendered().fragments
    if name not in fragments:
        raise PluginError(f"{page.file.src_uri}: <!-- zoo:{name} --> is unknown; known are {', '.join(sorted(fragments))}")
    return fragments[name]


def _source(path: str) -> str:
    return path.removesuffix(".html") + ".md"


def _front_matter(page: Page) -> str:
    """Title and description, quoted as JSON strings, which YAML reads too."""
    lines = [f"title: {json.dumps(_harmless(page.title))}", f"description: {json.dumps(_harmless(page.description))}"]
    if page.wide:
        lines.append("hide: [navigation]")
    return "---\n" + "\n".join(lines) + "\n---\n"


def _harmless(words: str) -> str:
    """For the theme, which puts titles and descriptions into its HTML as they are, and unescapes some of them again."""
    return html.escape(" ".join(words.translate(str.maketrans("<>", "‹›")).split()))


def _tokens(page: Page) -> list[dict[str, Any]]:
    """The headings as Python-Markdown's nested table of contents."""
    nested: list[dict[str, Any]] = []
    for level, anchor, words in page.headings:
        token = {"level": level, "id": anchor, "name": _harmless(words), "children": []}
        (nested[-1]["children"] if level == 3 and nested else nested).append(token)
    return nested
