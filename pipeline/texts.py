"""The text of a document's file: markdown as it is, HTML and PDF as markdown.

HTML goes through lxml, Beautiful Soup and markdownify: html.parser of Python 3.11 takes minutes for 250 KB of comments
that never end, html2text is under the GPL, trafilatura leaves out what it takes for no text, and html-to-markdown has no
build for every machine. PDF is read by pdfium. Where docling is installed, which upstream's data generation reads PDF
with, `by_docling` knows tables and headings of a PDF, too; it needs its models and its time.
"""

import codecs
import importlib
import re
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import PurePosixPath

from pipeline.errors import Invalid, Problem

MAX_PAGES = 500  # of a PDF
MAX_CHARACTERS = 20_000_000  # of a PDF's text
HTML = (".html", ".htm")

# What is no text of a page: code, glosses over letters, and the links from page to page.
_NO_TEXT = ["head", "script", "style", "template", "noscript", "svg", "iframe", "nav", "rt", "rp"]
# Some of Python's codecs are no encodings of files, and take time by the square (idna, punycode).
_ENCODING = re.compile(
    r"ascii|utf-8(-sig)?|utf-16(-[bl]e)?|iso8859-\d+|cp125\d|cp932|shift_jis|euc_(jp|kr)|iso2022_jp|gb(2312|k|18030)|big5|koi8-[ru]"
)
_READ_AS = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "shift_jis": "cp932",
    "gb2312": "gbk",
}  # as browsers do (WHATWG, Encoding)


@dataclass(frozen=True, slots=True)
class Read:
    """A file's text; of a PDF also how many `pages` it has, and how many of them were `read` whole: limits may cut the rest."""

    text: str
    read: int = 0
    pages: int = 0


def text_of(content: bytes, file: str) -> str:
    """The text alone, see read_of."""
    return read_of(content, file).text


def read_of(content: bytes, file: str) -> Read:
    """A markdown, HTML or PDF file, by its name. Raises Invalid document.encoding, document.html, document.pdf."""
    if file.endswith(".pdf"):
        return pdf_read(content, file)
    if file.endswith(HTML):
        return Read(html_text(content, file))
    try:
        return Read(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        fix = "Save it as UTF-8: ilab reads nothing else."
        raise Invalid(Problem("document.encoding", "the file is not UTF-8 text", file, fix, {"path": file})) from None


def pdf_read(content: bytes, file: str = "") -> Read:
    """A PDF's first 500 pages, their texts apart by an empty line; no text where it holds pictures only.

    Raises Invalid document.pdf for what pdfium cannot open: damaged files, and those with a password.
    """
    import pypdfium2  # loads a library of 7 MB, which markdown does not need

    texts: list[str] = []
    room, whole = MAX_CHARACTERS, 0
    try:
        with pypdfium2.PdfDocument(content) as document:
            count = len(document)
            for at in range(min(count, MAX_PAGES)):
                page = document[at].get_textpage()
                held = page.count_chars()
                texts.append(page.get_text_range(0, min(held, room)) if room > 0 else "")
                whole += held <= max(0, room)
                room -= len(texts[-1])
    except pypdfium2.PdfiumError as error:
        facts = {"path": file, "reason": str(error)}
        fix = "Save it anew without a password, or give the text as markdown."
        raise Invalid(Problem("document.pdf", f"the PDF cannot be read: {error}", file, fix, facts)) from None
    plain = (text.replace("\r\n", "\n").replace("\x00", "").replace("\ufffe", "") for text in texts)
    return Read("\n\n".join(plain).strip(), whole, count)


def html_text(content: bytes, file: str = "") -> str:
    """The text of an HTML page as markdown: of its <main> where it has one. Links and pictures leave their words only.

    Raises Invalid document.encoding where it is not in the encoding that it names (UTF-8 if none), and document.html where
    its elements are nested deeper than Python calls functions, which is beyond 300.
    """
    from bs4 import BeautifulSoup
    from markdownify import ATX, MarkdownConverter

    # A page begins so for Beautiful Soup, which warns of texts that look like something else.
    page = "<!DOCTYPE html>" + _decoded(content, file)
    try:
        soup = BeautifulSoup(page, "lxml")
        for one in soup.find_all(_NO_TEXT):
            one.extract()
        mains = soup.find_all("main")
        converter = MarkdownConverter(
            heading_style=ATX, bullets="-", strip=["a", "img"], escape_asterisks=False, escape_underscores=False
        )
        made = str(converter.convert_soup(mains[0] if len(mains) == 1 else soup))
    except RecursionError:
        fix = "Give the text as markdown."
        raise Invalid(
            Problem("document.html", "its elements are nested too deep to be read", file, fix, {"path": file})
        ) from None
    return re.sub(r"\n{3,}", "\n\n", made.replace("\x00", "")).strip()


def _decoded(content: bytes, file: str) -> str:
    """HTML as text, by its byte order mark or what its head says."""
    from bs4.dammit import EncodingDetector

    content, marked = EncodingDetector.strip_byte_order_mark(content)
    told = marked or EncodingDetector.find_declared_encoding(content, is_html=True) or "utf-8"
    try:
        name = codecs.lookup(told).name
        if _ENCODING.fullmatch(name):
            return content.decode(_READ_AS.get(name, name))
    except (LookupError, UnicodeDecodeError):
        pass  # said below, like an encoding that is none
    facts = {"path": file}
    raise Invalid(Problem("document.encoding", f"the file is not {told[:40]} text", file, "Save it as UTF-8.", facts))


def has_docling() -> bool:
    """Whether docling is installed beside labbot; it is not imported."""
    return find_spec("docling") is not None


def by_docling(content: bytes, file: str) -> Read:
    """A PDF or HTML file as docling reads it, as markdown; of a PDF the first 500 pages.

    Raises whatever docling, its models and their download raise; ImportError where a part of it is not installed.
    """
    base, door = (importlib.import_module(f"docling.{name}") for name in ("datamodel.base_models", "document_converter"))
    converter = door.DocumentConverter(allowed_formats=[base.InputFormat.PDF, base.InputFormat.HTML])
    stream = base.DocumentStream(name=PurePosixPath(file).name, stream=BytesIO(content))
    found = converter.convert(stream, page_range=(1, MAX_PAGES)).document
    text = str(found.export_to_markdown(escape_html=False, escape_underscores=False, image_placeholder="")).strip()
    if not file.endswith(".pdf"):
        return Read(text)
    import pypdfium2

    with pypdfium2.PdfDocument(content) as document:
        return Read(text, min(len(document), MAX_PAGES), len(document))
