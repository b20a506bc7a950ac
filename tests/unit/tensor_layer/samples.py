"""Real files, made by real libraries, and the ways in which they break."""

import io
import zipfile

import numpy as np
import pyarrow
import pyarrow.parquet
import soundfile
from PIL import Image
from pypdf import PdfWriter

ELF = b"\x7fELF\x02\x01\x01" + bytes(57)
EXE = b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00" + bytes(64)
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
CSV = b"city,population\nParis,2102650\nLyon,522250\nNice,348085\n"


def picture(kind: str = "PNG", size: tuple[int, int] = (64, 48), mode: str = "RGB", **options: object) -> bytes:
    noise = np.random.default_rng(1).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(out, kind, **options)
    return out.getvalue()


def animation(frames: int = 3) -> bytes:
    out = io.BytesIO()
    stills = [Image.new("L", (8, 8), 80 * number) for number in range(frames)]
    stills[0].save(out, "GIF", save_all=True, append_images=stills[1:])
    return out.getvalue()


def sound(duration_s: float = 0.5, kind: str = "WAV", rate_hz: int = 16_000, channels: int = 1) -> bytes:
    time_s = np.arange(int(duration_s * rate_hz)) / rate_hz
    tone = 0.5 * np.sin(2 * np.pi * 440 * time_s)
    out = io.BytesIO()
    soundfile.write(out, np.repeat(tone[:, None], channels, axis=1), rate_hz, format=kind)
    return out.getvalue()


def pdf(pages: int = 2, password: str | None = None, owner_password: str | None = None) -> bytes:
    writer = PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(200, 200)
    writer.add_metadata({"/Title": "A report"})
    if password is not None:
        writer.encrypt(password, owner_password, algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def parquet() -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"city": ["Paris", "Lyon"], "population": [2102650, 522250]}), out)
    return out.getvalue()


def docx(body: str = "<w:p><w:r><w:t>Hello </w:t></w:r><w:r><w:t>world</w:t></w:r></w:p>") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>" + " " * 30)
        archive.writestr("_rels/.rels", "<Relationships/>")
        space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
        archive.writestr("word/document.xml", f"<w:document {space}><w:body>{body}</w:body></w:document>")
    return out.getvalue()
