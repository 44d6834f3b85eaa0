"""Mends what Material for MkDocs leaves out of a finished page: names of landmarks, and where the keyboard goes.

HTML in, HTML out. Each rule is for the markup of one version and does nothing where that is not found; tests say whether it is.
"""

from __future__ import annotations

import re

_FOLDER = re.compile(r'(aria-labelledby=")(__nav_\w+?)_label("[^>]*>\s*<label class="md-nav__title") for="\2"')
_SKIP = re.compile(r'(<div data-md-component="skip">).*?(</div>)', re.DOTALL)
_SEARCH = 'data-md-component="search" role="dialog"'
_OPTIONS = '<nav class="md-search__options" aria-label="Search"'
_CONTENT = re.compile(r'(<div class="md-content"[^>]*>)')


def mended(html: str) -> str:
    """A finished page with the theme's faults of accessibility mended."""
    # The search dialog has no name, and its options have one that a heading of a page may have too.
    html = html.replace(_SEARCH, f'{_SEARCH} aria-label="Search"').replace(_OPTIONS, _OPTIONS.replace("Search", "Search options"))
    # A folder of the navigation is named by a label that is empty where the folder has a page of its own; its title is not.
    html = _FOLDER.sub(r'\1\2_title\3 id="\2_title" for="\2"', html)
    # The link past the navigation goes to the first heading with an anchor, past what stands before it; or it is missing.
    # Its end is a mark of its own: the theme names every piece of code after the nearest element around it that has an ID.
    html = _CONTENT.sub(r'\1<span id="__content"></span>', html, count=1)
    return _SKIP.sub(r'\1<a href="#__content" class="md-skip">Skip to content</a>\2', html, count=1)
