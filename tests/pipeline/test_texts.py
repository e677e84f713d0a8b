"""A file's text is what a reader of the page would read, or a sentence says why there is none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import Invalid
from pipeline.texts import Read, by_docling, has_docling, html_text, pdf_read, text_of

PAGE = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 200]/Resources<</Font<</F 3 0 R>>>>/Contents %d 0 R>>"


def pdf(*pages: str) -> bytes:
    """A PDF of plain pages, one line each (ISO 32000-1, 7.5)."""
    count = len(pages)
    kids = " ".join(f"{4 + 2 * at} 0 R" for at in range(count))
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {count}/Kids[{kids}]>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for at, page in enumerate(pages):
        drawn = f"BT /F 12 Tf 20 100 Td ({page}) Tj ET".encode()
        parts.append((PAGE % (5 + 2 * at)).encode())
        parts.append(b"<</Length %d>>stream\n%s\nendstream" % (len(drawn), drawn))
    made, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(made))
        made += b"%d 0 obj%s endobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(parts) + 1
    return made + b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root 1 0 R>>startxref\n%d\n%%%%EOF" % (
        size,
        table,
        size,
        len(made),
    )


# --- PDF


def test_a_pdf_is_its_pages_text() -> None:
    assert pdf_read(pdf("The sea rises.", "It falls.")) == Read("The sea rises.\n\nIt falls.", 2, 2)
    assert text_of(pdf("The sea."), "a.pdf") == "The sea."


def test_a_pdf_without_text_is_empty() -> None:
    assert pdf_read(pdf("", "")) == Read("", 2, 2)


@pytest.mark.parametrize("content", [b"", b"%PDF-1.4", b"\x00" * 1000, pdf("x")[:60]])
def test_a_damaged_pdf_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        pdf_read(content, "a.pdf")

    assert [(one.code, one.where) for one in refused.value.problems] == [("document.pdf", "a.pdf")]


def test_a_pdf_is_read_up_to_a_number_of_pages_and_characters_and_says_how_many_were_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipeline.texts.MAX_PAGES", 2)
    assert pdf_read(pdf("one", "two", "three")) == Read("one\n\ntwo", 2, 3)

    monkeypatch.setattr("pipeline.texts.MAX_CHARACTERS", 4)
    assert pdf_read(pdf("one", "two")) == Read("one\n\nt", 1, 2)


# --- HTML

PAGE_OF_HTML = """<!doctype html>
<html><head><title>Of the sea</title><style>p { color: blue }</style><script>let x = "no text"</script></head><body>
<nav><a href="/">Home</a></nav>
<h1>Tides &amp; <em>waves</em></h1>
<p>Twice a_day * the <a href="https://sea.example/rise">sea rises</a>.<br>Then it falls.</p>
<!-- not said -->
<h2>Heights</h2>
<table><tr><th>Place</th><th>Metres</th></tr><tr><td>Hamburg</td><td>3.6</td></tr></table>
<ul><li>moon<ul><li>near</li></ul></li><li>sun</li></ul>
<pre># no heading
x = 1</pre>
<p><img src="moon.png" alt="A picture"><ruby>潮<rp>(</rp><rt>しお</rt><rp>)</rp></ruby></p>
</body></html>"""

AS_MARKDOWN = """# Tides & *waves*

Twice a_day * the sea rises.\x20\x20
Then it falls.

## Heights

| Place | Metres |
| --- | --- |
| Hamburg | 3.6 |

- moon
  - near
- sun

```
# no heading
x = 1
```

潮"""


@pytest.mark.parametrize("name", ["a.html", "a.htm"])
def test_html_is_its_text_as_markdown_without_code_links_and_pictures(name: str) -> None:
    assert text_of(PAGE_OF_HTML.encode(), name) == AS_MARKDOWN


def test_of_a_page_with_one_main_part_that_is_the_text() -> None:
    page = "<header>Site</header><main><h1>Sea</h1><p>Wet.</p></main><footer>2026</footer>"

    assert html_text(page.encode()) == "# Sea\n\nWet."
    assert html_text(f"{page}<main>More</main>".encode()).startswith("Site")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<p>Märchen 潮</p>".encode(), "Märchen 潮"),
        ("<p>Märchen</p>".encode("utf-8-sig"), "Märchen"),
        ("<p>Märchen</p>".encode("utf-16"), "Märchen"),
        ('<meta charset="iso-8859-1"><p>Märchen “x”</p>'.encode("cp1252"), "Märchen “x”"),
        ('<meta http-equiv="content-type" content="text/html; charset=shift_jis"><p>海と潮①</p>'.encode("cp932"), "海と潮①"),
        ('<?xml version="1.0" encoding="euc-jp"?><html><body><p>海</p></body></html>'.encode("euc-jp"), "海"),
        (b"", ""),
        (b"https://sea.example", "https://sea.example"),
        (b"a.txt", "a.txt"),
    ],
)
def test_html_is_read_in_the_encoding_that_it_names(content: bytes, text: str) -> None:
    assert html_text(content) == text


@pytest.mark.parametrize(
    "content",
    [
        "<p>Märchen</p>".encode("latin-1"),
        b'<meta charset="utf-8"><p>M\xe4rchen</p>',
        *(
            f'<meta charset="{name}"><p>x</p>'.encode()
            for name in ("idna", "punycode", "hex", "rot13", "unicode_escape", "sea")
        ),
    ],
)
def test_html_in_another_encoding_or_in_none_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        html_text(content, "a.html")

    assert [(one.code, one.where, one.facts) for one in refused.value.problems] == [
        ("document.encoding", "a.html", {"path": "a.html"})
    ]


def test_html_that_is_nested_beyond_reading_is_refused_by_name() -> None:
    with pytest.raises(Invalid) as refused:
        html_text(b"<div>" * 20_000 + b"x", "a.html")

    assert [(one.code, one.facts) for one in refused.value.problems] == [("document.html", {"path": "a.html"})]


BROKEN = ("<", "<!--", "<a b=", "<![CDATA[", "&#x", "<textarea>", "<br>", "<td>", "</p>", "<?")


@pytest.mark.parametrize("part", BROKEN)
def test_broken_html_takes_no_longer_than_it_is_long(part: str) -> None:
    assert isinstance(html_text((part * (100_000 // len(part))).encode()), str)  # html.parser takes minutes for some of them


@given(
    st.lists(
        st.sampled_from(
            ["<p>", "</p>", "<b>", "<table>", "<tr>", "<td>", "</table>", "<ul>", "<li>", "<!--", "&", "x y", "é", "\0"]
        )
    )
)
@settings(max_examples=100, deadline=None)
def test_whatever_stands_in_a_page_it_has_a_text(parts: list[str]) -> None:
    assert "<td>" not in html_text("".join(parts).encode())


# --- docling


@pytest.mark.skipif(not has_docling(), reason="docling, which an operator may install, is not here: 2 GB with torch")
def test_docling_reads_html_as_markdown() -> None:
    page = b"<h1>Tides &amp; waves</h1><p>Twice a_day.</p><table><tr><th>a</th></tr><tr><td>1</td></tr></table>"
    lines = by_docling(page, "docs/a.html").text.splitlines()

    assert (lines[0], "Twice a_day." in lines) == ("# Tides & waves", True)


@pytest.mark.skipif(not has_docling(), reason="docling, which an operator may install, is not here: 2 GB with torch and models")
def test_docling_reads_a_pdf() -> None:
    found = by_docling(pdf("The sea rises."), "a.pdf")

    assert "The sea rises." in found.text and (found.read, found.pages) == (1, 1)
