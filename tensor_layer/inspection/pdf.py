"""Looks at PDFs: pages, title, whether there is text or only pictures of it. A decoder of ``inspector``."""

import logging
from typing import Any

from pypdf import PasswordType, PdfReader
from pypdf.errors import PyPdfError

from schemas.parts import Modality
from tensor_layer.inspection.content import Content, Damaged, Seen

# pypdf logs each of a broken file's hundred faults; its sender hears of the one that matters.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)

TEXT_PAGES = 2
"""A PDF has text when one of its first pages has: reading all of a long one takes minutes."""

_BROKEN = (PyPdfError, OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What pypdf raises on damaged files, besides its own errors."""


def look_at_pdf(content: Content) -> Seen:
    """Open, unlock when the password is empty, count. Raises Damaged."""
    try:
        with content.open() as file:
            reader = PdfReader(file)
            if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
                raise Damaged(
                    "the PDF is encrypted and asks for a password.",
                    "Remove the password (qpdf --decrypt --password=… in.pdf out.pdf) and send it again.",
                )
            return Seen(Modality.DOCUMENT, "application/pdf", _facts(reader))
    except _BROKEN as error:
        raise Damaged(f"the PDF is damaged or cut off: {error}.", "Print or export it to PDF again.") from error


def _facts(reader: PdfReader) -> dict[str, Any]:
    pages = len(reader.pages)
    if pages == 0:
        raise Damaged("the PDF has no pages.", "Print or export it to PDF again.")
    text = "".join(reader.pages[number].extract_text() for number in range(min(pages, TEXT_PAGES)))
    facts: dict[str, Any] = {"pages": pages, "has_text": bool(text.strip()), "encrypted": reader.is_encrypted}
    title = reader.metadata.title if reader.metadata else None
    if title:
        facts["title"] = str(title)[:200]
    return facts
