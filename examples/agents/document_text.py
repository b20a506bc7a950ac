"""Document reader: PDF, Word, HTML and plain files become text (``read``) or pictures of their pages (``render``)."""

import html.parser
import io
import re
import zipfile
from typing import ClassVar

import pypdfium2
from parts import (
    CannotDo,
    Invocation,
    Lacks,
    Part,
    answering,
    bytes_of,
    bytes_output,
    label,
    renamed,
    text_of,
    text_output,
    the_first,
)

RENDERED_PAGES = 4
RENDER_SCALE = 2.0  # 144 dpi: small print stays legible for OCR


@answering
def run(invocation: Invocation) -> list[Part]:
    """The text of the document, or its pages as pictures when that skill is asked for."""
    document = the_first(invocation, "document", "a PDF or a .docx file")
    if invocation.get("skill_id") == "render_pages":
        return _pages_as_pictures(document)
    text = _text(document).strip()
    if not text:
        raise CannotDo(
            "no_text",
            f"{label(document)} holds no text: it is probably a scan. Send its pages as pictures, to be read by OCR.",
        )
    return [text_output(text, renamed(document, ".txt", "document"))]


def _text(document: Part) -> str:
    content = bytes_of(document)
    if not content:
        raise Lacks(f"{label(document)} is empty.")
    if content.startswith(b"%PDF") or b"%PDF-" in content[:1024]:
        return _pdf_text(document, content)
    if content.startswith(b"PK"):
        return _docx_text(document, content)
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise CannotDo("old_format", f"{label(document)} is in the old binary Office format. Save it as .docx or PDF.")
    text = text_of(document)
    if "\x00" in text:
        raise CannotDo("unreadable", f"{label(document)} is neither PDF, Word (.docx), HTML nor plain text.")
    return _html_text(text) if re.search(r"<(html|body|p|div|!doctype)\b", text[:2000], re.IGNORECASE) else text


def _open_pdf(document: Part, content: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as problem:
        if "password" in str(problem).lower():
            message = f"{label(document)} is protected by a password. Remove the password and send it again."
            raise Lacks(message) from problem
        raise CannotDo("unreadable", f"{label(document)} is damaged: it cannot be opened as a PDF.") from problem


def _pdf_text(document: Part, content: bytes) -> str:
    with _open_pdf(document, content) as pdf:
        pages = [page.get_textpage().get_text_range() for page in pdf]
    return "\n\n".join(_unwrapped(page) for page in pages)


def _unwrapped(page: str) -> str:
    """Lines of one paragraph joined. A paragraph ends at a blank line or where a short line ends a sentence."""
    lines = [line.strip() for line in page.replace("\r\n", "\n").replace("\ufffe", "-").split("\n")]
    widest = max((len(line) for line in lines), default=0)
    text = ""
    for line in lines:
        text += line
        ends = not line or len(line) < 0.6 * widest or (line[-1] in ".!?:" and len(line) < 0.8 * widest)
        text += "\n" if ends else " "
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"(\w)- (?=[a-z])", r"\1", text)).strip()


def _docx_text(document: Part, content: bytes) -> str:
    import docx  # slow to import, and most documents are PDFs

    try:
        opened = docx.Document(io.BytesIO(content))
    except (zipfile.BadZipFile, KeyError, ValueError) as problem:
        raise CannotDo("unreadable", f"{label(document)} is damaged or is not a Word (.docx) file.") from problem
    blocks = []
    for block in opened.iter_inner_content():
        if hasattr(block, "rows"):
            blocks.append("\n".join("\t".join(cell.text for cell in row.cells) for row in block.rows))
        else:
            blocks.append(block.text)
    return "\n\n".join(block for block in blocks if block.strip())


class _VisibleText(html.parser.HTMLParser):
    BLOCKS: ClassVar = {"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "section", "article"}
    HIDDEN: ClassVar = {"script", "style", "head"}

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in self.HIDDEN
        self.pieces.append("\n" if tag in self.BLOCKS else "")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in self.HIDDEN and self._hidden > 0
        self.pieces.append("\n" if tag in self.BLOCKS else "")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(re.sub(r"\s+", " ", data))


def _html_text(source: str) -> str:
    reader = _VisibleText()
    reader.feed(source)
    return re.sub(r"\s*\n\s*", "\n", "".join(reader.pieces))


def _pages_as_pictures(document: Part) -> list[Part]:
    pictures = []
    with _open_pdf(document, bytes_of(document)) as pdf:
        for number in range(min(len(pdf), RENDERED_PAGES)):
            buffer = io.BytesIO()
            pdf[number].render(scale=RENDER_SCALE, grayscale=True).to_pil().save(buffer, "PNG", optimize=True)
            name = renamed(document, f"-page{number + 1}.png", "document")
            pictures.append(bytes_output(buffer.getvalue(), "image", "image/png", name))
    if not pictures:
        raise Lacks(f"{label(document)} has no pages.")
    return pictures
