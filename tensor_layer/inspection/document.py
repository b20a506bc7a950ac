"""Looks at documents made of words: HTML pages and Word files. A decoder of ``inspector``."""

import zipfile
import zlib
from html.parser import HTMLParser
from xml.etree import ElementTree

from schemas.parts import Modality
from tensor_layer.inspection.content import Content, Damaged, Seen
from tensor_layer.inspection.sniffing import DOCX
from tensor_layer.inspection.text import Tally, pieces
from tensor_layer.spoken import ENCODED_CHARACTERS_MAX

HTML_CHARACTERS_MAX = 8 * 1024 * 1024
XML_BYTES_MAX = 64 * 1024 * 1024
"""A Word file is a zip: so much of its text is unpacked, and no more, whatever the archive promises."""

_BROKEN = (zipfile.BadZipFile, zlib.error, KeyError, EOFError, OSError, ValueError, RuntimeError)
"""What zipfile raises on damaged archives; RuntimeError is its word for a locked one."""

_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


class _Page(HTMLParser):
    """Collects a page's visible words and its title."""

    def __init__(self) -> None:
        super().__init__()
        self.tally = Tally()
        self.title = ""
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style", "title"):
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._inside:
            self._inside.remove(tag)

    def handle_data(self, data: str) -> None:
        if "title" in self._inside:
            self.title += data
        elif not self._inside:
            self.tally.add(data)


def look_at_html(content: Content, charset: str) -> Seen:
    """Title and words of the first 8 MiB. Raises Damaged."""
    page = _Page()
    fed = 0
    for piece in pieces(content, charset):
        page.feed(piece[: HTML_CHARACTERS_MAX - fed])
        fed += len(piece)
        if fed >= HTML_CHARACTERS_MAX:
            break
    page.close()
    facts = {"words": page.tally.words, "charset": charset, "title": " ".join(page.title.split())[:200]}
    return Seen(Modality.DOCUMENT, "text/html", facts, page.tally.excerpt)


def look_at_docx(content: Content) -> Seen:
    """Paragraphs and words of a Word file's main text. Raises Damaged."""
    try:
        with content.open() as file, zipfile.ZipFile(file) as archive:
            xml = _unpack(archive)
        paragraphs = ["".join(run.text or "" for run in p.iter(f"{_WORD}t")) for p in _root(xml).iter(f"{_WORD}p")]
    except _BROKEN as error:
        raise Damaged(f"the Word document is damaged or locked: {error}.", "Save it again as .docx.") from error
    text = "\n".join(paragraphs)
    facts = {"paragraphs": sum(map(bool, paragraphs)), "words": len(text.split())}
    return Seen(Modality.DOCUMENT, DOCX, facts, text[:ENCODED_CHARACTERS_MAX])


def _unpack(archive: zipfile.ZipFile) -> bytes:
    with archive.open("word/document.xml") as file:
        xml = file.read(XML_BYTES_MAX + 1)
    if len(xml) > XML_BYTES_MAX:
        raise Damaged(f"the Word document unpacks to more than {XML_BYTES_MAX} bytes.", "Split it.")
    return xml


def _root(xml: bytes) -> ElementTree.Element:
    try:
        # expat refuses entity bombs by itself since 2.4.1, and a declaration has no business in a Word file anyway.
        if b"<!DOCTYPE" in xml[:4096]:
            raise Damaged("the Word document declares XML entities.", "Save it again with a word processor.")
        return ElementTree.fromstring(xml)  # noqa: S314 - see above
    except ElementTree.ParseError as error:
        raise Damaged(f"the Word document's text is broken XML: {error}.", "Save it again as .docx.") from error
