import pytest

from microzoo.pages.links import Document, problems, problems_apart


@pytest.fixture
def site(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "index.html").write_text(
        '<h2 id="top">t</h2><a href="a/index.html#here">x</a><a href="a/">x</a><a href="#top">x</a>'
    )
    (tmp_path / "a" / "index.html").write_text('<p id=here><a href="../index.html">x</a><a href="https://example.org/">x</a>')
    return tmp_path


def add(site, html):
    (site / "b.html").write_text(html)
    return problems(site)


def test_a_whole_site_has_no_problems(site):
    assert problems(site) == []


@pytest.mark.parametrize(
    ("html", "why"),
    [
        ('<a href="gone.html">', "no such file"),
        ('<a href="index.html#gone">', "index.html has no such anchor"),
        ('<a href="#gone">', "b.html has no such anchor"),
        ("<a href='../index.html'>", "no such file"),
        ('<a href="/index.html">', "starts with a slash"),
        ('<a href="javascript:alert(1)">', "has no place here"),
        ('<script src="https://example.org/x.js"></script>', "another site"),
        ('<script src="//example.org/x.js"></script>', "another site"),
        ('<link rel="stylesheet" href="http://example.org/x.css">', "another site"),
        ('<link rel="preconnect" href="https://example.org">', "another site"),
        ('<img alt="a > b" src="https://example.org/x.png">', "another site"),
        ('<img srcset="https://example.org/x.png 2x">', "another site"),
        ('<p style="background:url(https://example.org/x.png)">', "another site"),
        ('<svg><image href="https://example.org/x.png"/></svg>', "another site"),
        ('<img src="gone.png">', "no such file"),
        ('<img srcset="index.html 1x, gone.png 2x">', "no such file"),
        ("<style>@font-face{src:url(https://example.org/x.woff2)}</style>", "another site"),
        ("<style>p{background:url('gone.png')}</style>", "no such file"),
        ("<p style='background:url(gone.png)'>", "no such file"),
        ('<svg><a xlink:href="gone.html"><path/></a></svg>', "no such file"),
        ('<svg><a href="index.html#gone"><path/></a></svg>', "index.html has no such anchor"),
        ('<svg><use href="#gone"/></svg>', "b.html has no such anchor"),
        ('<form action="gone.html">', "no such file"),
        ('<map><area href="gone.html"></map>', "no such file"),
        ('<video><track src="gone.vtt"></video>', "no such file"),
        ('<meta property="og:image" content="gone.png">', "no such file"),
        ('<meta http-equiv="refresh" content="0; url=gone.html">', "no such file"),
        ('<meta http-equiv="refresh" content="0; url=https://example.org/">', "another site"),
        ("<a href='index.html#?q=x'>", "index.html has no such anchor"),
    ],
)
def test_each_fault_is_named_with_its_page(site, html, why):
    (found,) = add(site, html)
    assert found.startswith('b.html: "') and why in found


def test_comments_and_scripts_hold_no_links(site):
    assert add(site, '<!-- <a href="gone.html"> --><script>let a = \'<a href="gone.html">\'</script>') == []


def test_a_canonical_address_is_not_loaded(site):
    assert add(site, '<link rel="canonical" href="https://example.org/">') == []


def test_remote_fonts_in_style_sheets_are_found(site):
    (site / "x.css").write_text('@font-face{src:url("https://example.org/x.woff2")}')
    assert problems(site) == ['x.css: "https://example.org/x.woff2": is loaded from another site']


@pytest.mark.parametrize(
    ("css", "why"),
    [
        ("@import 'gone.css';", "no such file"),
        ("p { background: url(../gone.png) }", "no such file"),
        ('p { background: url("https://example.org/x.png") }', "is loaded from another site"),
    ],
)
def test_what_style_sheets_load_is_there(site, css, why):
    (site / "a" / "x.css").write_text(f"/* url(commented.png) */ q {{ background: url(data:image/png;base64,AA) }} {css}")
    (found,) = problems(site)
    assert found.startswith('a/x.css: "') and found.endswith(why)


def test_state_for_a_script_of_the_page_is_no_anchor(site):
    (site / "finder.html").write_text("<script src='a/find.js'></script>")
    (site / "a" / "find.js").touch()
    assert add(site, "<a href='finder.html#?dataset=digits&amp;ram=8'>") == []


def test_links_that_are_alike_are_judged_where_they_stand(site):
    (site / "a" / "b.html").write_text('<a href="here.html">')
    (site / "a" / "here.html").touch()
    assert add(site, '<a href="here.html">') == ['b.html: "here.html": no such file']


def test_anchors_are_unescaped():
    assert Document('<p id="a&amp;b"><a name=c>').anchors == {"a&b", "c"}


def test_a_process_of_its_own_finds_the_same_in_the_same_order(site):
    for name in "cdefgh":
        (site / "a" / f"{name}.html").write_text(f'<a href="../{name}.html">x</a><a href="../index.html#{name}">y</a>')
        (site / f"{name}x.html").write_text(f'<p id="{name}"><a href="a/{name}.html#{name}">x</a><a href="#{name}">y</a>')
    found = problems(site)
    assert len(found) == 18 and problems_apart(site) == found
    assert problems_apart(site / "nothing") == []
