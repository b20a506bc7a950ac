import base64
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.base import new_id
from schemas.parts import Modality, Part
from schemas.percept import PartPercept
from tensor_layer.errors import BlobNotFound, UnreadablePart
from tensor_layer.inspection import table
from tensor_layer.inspection.content import Damaged
from tensor_layer.inspection.inspector import PartInspector, filled
from tensor_layer.storage.blobs import ObstoreBlobs
from tests.unit.tensor_layer import samples


@pytest.fixture
def blobs(tmp_path: Path) -> ObstoreBlobs:
    return ObstoreBlobs.from_url((tmp_path / new_id()).as_uri())


def part_of(content: bytes, name: str | None = None, media_type: str | None = None, modality=None) -> Part:
    encoded = base64.b64encode(content).decode()
    return Part(data=encoded, name=name, media_type=media_type, modality=modality)


async def look(part: Part, blobs: ObstoreBlobs) -> PartPercept:
    return (await PartInspector(blobs).inspect(0, part)).percept


async def refusal(part: Part, blobs: ObstoreBlobs) -> str:
    with pytest.raises(UnreadablePart) as refused:
        await PartInspector(blobs).inspect(3, part)
    assert refused.value.index == 3
    return str(refused.value)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def huge_png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


class TestWhatIsFine:
    async def test_words_are_counted(self, blobs):
        percept = await look(Part(text="Hello, world.\nHow are you? "), blobs)

        assert (percept.modality, percept.media_type, percept.lacks) == (Modality.TEXT, "text/plain", ())
        assert percept.facts == {"characters": 27, "words": 5, "lines": 2, "charset": "utf-8"}
        assert percept.size_bytes == 27

    async def test_an_instruction_that_looks_like_a_table_is_still_an_instruction(self, blobs):
        for text in ("a,b\n1,2\n3,4\n5,6", "[1, 2, 3]", "<html>what is this?", "%PDF-1.7 is what format?", ""):
            assert (await look(Part(text=text), blobs)).modality is Modality.TEXT

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "AVIF"])
    async def test_pictures_are_measured(self, blobs, kind):
        percept = await look(part_of(samples.picture(kind, (64, 48))), blobs)

        assert percept.modality is Modality.IMAGE
        assert percept.media_type == f"image/{kind.lower()}"
        assert (percept.facts["width_px"], percept.facts["height_px"]) == (64, 48)
        assert percept.facts["format"] == kind
        assert percept.lacks == ("image",)

    async def test_orientation_mode_and_frames_are_facts(self, blobs):
        exif = samples.Image.Exif()
        exif[0x0112] = 6
        turned = await look(part_of(samples.picture("JPEG", exif=exif)), blobs)
        moving = await look(part_of(samples.animation(3)), blobs)

        assert turned.facts["exif_orientation"] == 6
        assert moving.facts["frames"] == 3
        assert (await look(part_of(samples.picture(mode="L")), blobs)).facts["mode"] == "L"

    @pytest.mark.parametrize(
        ("kind", "media_type"),
        [("WAV", "audio/wav"), ("FLAC", "audio/flac"), ("OGG", "audio/ogg"), ("MP3", "audio/mpeg")],
    )
    async def test_sounds_are_measured(self, blobs, kind, media_type):
        percept = await look(part_of(samples.sound(0.5, kind, 16_000, 2)), blobs)

        assert (percept.modality, percept.media_type, percept.lacks) == (Modality.AUDIO, media_type, ("audio",))
        assert percept.facts["duration_s"] == pytest.approx(0.5, abs=0.08)
        assert percept.facts["sample_rate_hz"] == 16_000
        assert percept.facts["channels"] == 2
        assert percept.facts["peak_dbfs"] == pytest.approx(-6.02, abs=1.0)
        assert percept.facts["rms_dbfs"] == pytest.approx(-9.03, abs=1.0)

    async def test_silence_has_a_floor_that_json_can_carry(self, blobs):
        silence = samples.io.BytesIO()
        samples.soundfile.write(silence, samples.np.zeros(800), 8000, format="WAV")

        percept = await look(part_of(silence.getvalue()), blobs)

        assert (percept.facts["peak_dbfs"], percept.facts["rms_dbfs"]) == (-120.0, -120.0)

    async def test_pdfs_are_documents_with_pages(self, blobs):
        percept = await look(part_of(samples.pdf(2)), blobs)

        assert (percept.modality, percept.media_type) == (Modality.DOCUMENT, "application/pdf")
        assert percept.facts == {"pages": 2, "has_text": False, "encrypted": False, "title": "A report"}

    async def test_a_pdf_with_an_empty_password_opens(self, blobs):
        percept = await look(part_of(samples.pdf(1, password="", owner_password="secret")), blobs)

        assert percept.facts["encrypted"] is True
        assert percept.facts["pages"] == 1

    @pytest.mark.parametrize("name", ["cities.csv", "cities", None, "cities.txt.csv"])
    async def test_a_csv_is_a_table_under_any_name_that_allows_it(self, blobs, name):
        percept = await look(part_of(samples.CSV, name), blobs)

        assert (percept.modality, percept.media_type) == (Modality.TABLE, "text/csv")
        assert percept.facts["rows"] == 3
        assert percept.facts["columns"] == 2
        assert percept.facts["column_names"] == ["city", "population"]

    @pytest.mark.parametrize(
        ("content", "name", "delimiter", "rows", "columns"),
        [
            (b"a;b;c\n1;2;3\n", "x.csv", ";", 1, 3),
            (b"a\tb\n1\t2\n", "x.tsv", "\t", 1, 2),
            (b"1,2\n3,4\n", "x.csv", ",", 2, 2),
            (b'name,text\nx,"two\nlines, quoted"\n', "x.csv", ",", 1, 2),
            (b"only\n1\n2\n", "x.csv", ",", 2, 1),
            ("naïve;prix\ncafé;3\n".encode("cp1252"), "x.csv", ";", 1, 2),
            ("\ufeffa,b\n1,2\n".encode(), "x.csv", ",", 1, 2),
            ("a,b\n1,2\n".encode("utf-16"), "x.csv", ",", 1, 2),
            (b"a,b\n" + b"1,2\n" * 9 + b"a stray remark\n", "x.csv", ",", 10, 2),
        ],
    )
    async def test_delimiters_headers_quotes_and_charsets_are_found(
        self, blobs, content, name, delimiter, rows, columns
    ):
        facts = (await look(part_of(content, name), blobs)).facts

        assert (facts["delimiter"], facts["rows"], facts["columns"]) == (delimiter, rows, columns)

    async def test_prose_with_commas_is_prose(self, blobs):
        prose = b"Dear all, hello,\nas I said, we meet at noon, not later.\nBring cake, tea, and time.\nYours, me\n"

        assert (await look(part_of(prose, "note.txt"), blobs)).modality is Modality.TEXT
        assert (await look(part_of(prose), blobs)).modality is Modality.TEXT

    async def test_the_last_row_counts_with_or_without_a_line_end(self, blobs):
        for content in (b"a,b\n1,2\n3,4", b"a,b\n1,2\n3,4\n"):
            assert (await look(part_of(content, "x.csv"), blobs)).facts["rows"] == 2

    async def test_of_what_is_too_large_to_read_whole_less_is_said(self, blobs, monkeypatch):
        monkeypatch.setattr(table, "JSON_BYTES_MAX", 10)
        monkeypatch.setattr(table, "COUNTED_BYTES_MAX", 100_000)
        assert (await look(part_of(b'{"a": [1]}', "x.json"), blobs)).facts["items"] == 1
        assert (await look(part_of(b'{"a": [12]}', "x.json"), blobs)).facts == {"parsed": False}
        rows = b"a,b\n" + b"10,200\n" * 300_000
        facts = (await look(part_of(rows, "x.csv"), blobs)).facts
        assert "rows" not in facts
        assert 100_000 / 7 - 1 <= facts["rows_min"] < 300_000

    @pytest.mark.parametrize(
        ("content", "name", "modality", "facts"),
        [
            (
                b'[{"a": 1}, {"a": 2, "b": 3}]',
                None,
                Modality.TABLE,
                {"rows": 2, "columns": 2, "column_names": ["a", "b"]},
            ),
            (b'{"a": 1}\n{"a": 2}\n', "x.jsonl", Modality.TABLE, {"rows": 2, "columns": 1, "column_names": ["a"]}),
            (b'{"a": {"b": [1]}}', "x.json", Modality.DATA, {"top_level": "dict", "items": 1}),
            (
                '{"a": "one\u2028line\x85"}\r\n\n{"a": 2}'.encode(),
                "x.jsonl",
                Modality.TABLE,
                {"rows": 2, "columns": 1, "column_names": ["a"]},
            ),
            (b"[1, 2, 3]", "x.json", Modality.DATA, {"top_level": "list", "items": 3}),
        ],
    )
    async def test_json_records_are_a_table_and_other_json_is_data(self, blobs, content, name, modality, facts):
        percept = await look(part_of(content, name), blobs)

        assert percept.modality is modality
        assert percept.facts == facts

    async def test_parquet_is_a_table(self, blobs):
        percept = await look(part_of(samples.parquet()), blobs)

        assert (percept.modality, percept.facts["rows"], percept.facts["columns"]) == (Modality.TABLE, 2, 2)

    async def test_word_and_html_are_documents(self, blobs):
        word = await look(part_of(samples.docx(), "a.docx"), blobs)
        page = await look(part_of(b"<!DOCTYPE html><title>T</title><script>x y</script><p>one two"), blobs)

        assert (word.modality, word.facts["words"], word.facts["paragraphs"]) == (Modality.DOCUMENT, 2, 1)
        assert (page.modality, page.facts["words"], page.facts["title"]) == (Modality.DOCUMENT, 2, "T")

    async def test_what_nobody_decodes_is_a_file(self, blobs):
        for content in (
            samples.ELF,
            samples.EXE,
            samples.SVG,
            b"\x00\x01\x02\x03" * 9,
            b"\x1f\x8b\x08\x00" + bytes(20),
        ):
            assert (await look(part_of(content), blobs)).modality is Modality.FILE

    async def test_text_that_starts_like_a_signature_is_text(self, blobs):
        for content in (b"BMW builds cars in Munich.", b"MZ is the code of Mozambique.", b"ID3 tags explained"):
            assert (await look(part_of(content, "note.txt"), blobs)).modality is Modality.TEXT

    async def test_a_jpeg_named_png_is_the_jpeg_it_is(self, blobs):
        assert (await look(part_of(samples.picture("JPEG"), "x.png"), blobs)).media_type == "image/jpeg"

    async def test_invalid_utf8_falls_back_to_the_charset_it_is_in(self, blobs):
        german = "Grüße aus Köln, schöne Straße. Übermäßig ärgerlich für die Äpfel.".encode("cp1252")

        percept = await look(part_of(german, "brief.txt"), blobs)

        assert percept.modality is Modality.TEXT
        assert percept.facts["charset"] not in ("utf-8", "ascii")
        assert percept.facts["words"] == 10

    async def test_late_invalid_utf8_is_counted(self, blobs):
        ref = await blobs.put_bytes(b"word " * 30_000 + b"\xff\xfe end")

        percept = await look(Part(ref=ref, name="log.txt"), blobs)

        assert percept.facts["unreadable_characters"] == 2
        assert percept.facts["words"] == 30_002

    async def test_a_megabyte_of_text_is_counted_whole(self, blobs):
        text = "alpha beta gamma " * 65_000
        for part in (Part(text=text), Part(ref=await blobs.put_bytes(text.encode()), name="long.txt")):
            facts = (await look(part, blobs)).facts

            assert (facts["words"], facts["characters"]) == (195_000, len(text))

    async def test_a_referenced_part_gets_its_true_size_and_type(self, blobs):
        content = samples.picture()
        ref = await blobs.put_bytes(content)
        lying = ref.model_copy(update={"size_bytes": 7})

        percept = await look(Part(ref=lying, name="x.png"), blobs)
        part = filled(Part(ref=lying, name="x.png"), percept)

        assert part.ref == ref
        assert (part.modality, part.media_type) == (Modality.IMAGE, "image/png")
        assert percept.digest == ref.digest
        assert filled(part, percept) is part


class TestWhatIsRefused:
    async def test_a_truncated_png(self, blobs):
        whole = samples.picture(size=(200, 200))
        for length in (len(whole) // 2, len(whole) - 13, 40):
            assert "damaged or cut off" in await refusal(part_of(whole[:length], "x.png"), blobs)

    async def test_a_png_with_a_flipped_bit(self, blobs):
        broken = bytearray(samples.picture())
        broken[200] ^= 1

        assert "damaged" in await refusal(part_of(bytes(broken)), blobs)

    @pytest.mark.parametrize("kind", ["JPEG", "GIF", "WEBP", "TIFF", "BMP", "AVIF"])
    async def test_half_of_any_other_picture(self, blobs, kind):
        whole = samples.picture(kind, (200, 200))

        assert "image" in await refusal(part_of(whole[: len(whole) // 2], media_type=f"image/{kind.lower()}"), blobs)

    @pytest.mark.parametrize(("width", "height"), [(8000, 8000), (12_000, 12_000), (60_000, 60_000)])
    async def test_a_bomb_of_huge_dimensions(self, blobs, width, height):
        problem = await refusal(part_of(huge_png(width, height)), blobs)

        assert "at most 50000000 are decoded" in problem

    async def test_a_sound_without_samples(self, blobs):
        assert "lasts 0 s" in await refusal(part_of(samples.sound(0), "x.wav"), blobs)

    async def test_half_a_sound(self, blobs):
        whole = samples.sound(1)

        assert "cut off" in await refusal(part_of(whole[: len(whole) // 2], "x.wav"), blobs)

    async def test_an_empty_file(self, blobs):
        assert "empty: 0 bytes" in await refusal(part_of(b"", "x.wav"), blobs)

    async def test_an_encrypted_pdf_with_the_way_out(self, blobs):
        problem = await refusal(part_of(samples.pdf(1, password="secret")), blobs)

        assert "encrypted" in problem
        assert "qpdf --decrypt" in problem

    async def test_a_pdf_without_its_end_or_pages(self, blobs):
        assert "PDF" in await refusal(part_of(samples.pdf()[:100]), blobs)
        assert "PDF" in await refusal(part_of(samples.pdf(0)), blobs)

    @pytest.mark.parametrize(
        "content", [samples.ELF, samples.EXE, samples.SVG, samples.CSV, b"just words", samples.pdf()]
    )
    async def test_anything_renamed_to_png(self, blobs, content):
        assert "it is named x.png, but its content is" in await refusal(part_of(content, "x.png"), blobs)
        problem = await refusal(part_of(content, media_type="image/png"), blobs)
        assert "its media type says image/png" in problem
        assert "PNG, JPEG" in problem

    async def test_a_picture_called_text(self, blobs):
        assert "an image (image/png)" in await refusal(part_of(samples.picture(), "x.txt"), blobs)
        assert "sent as text" in await refusal(part_of(samples.picture(), modality=Modality.TEXT), blobs)

    async def test_nul_bytes_in_text(self, blobs):
        assert "NUL" in await refusal(Part(text="a\x00b"), blobs)
        assert "NUL" in await refusal(part_of(b"a\x00b", "x.txt"), blobs)
        assert "NUL" in await refusal(part_of(b"word " * 20_000 + b"\x00", "x.txt"), blobs)

    async def test_half_a_character(self, blobs):
        assert "surrogate" in await refusal(Part(text="a\ud800b"), blobs)

    async def test_a_ragged_csv(self, blobs):
        assert "same number of columns" in await refusal(part_of(b"a,b\n1,2,3\n4;5\n", "x.csv"), blobs)

    async def test_a_sound_of_samples_that_are_no_numbers(self, blobs):
        content = samples.io.BytesIO()
        spoilt = samples.np.array([0.1, samples.np.nan, 0.2], samples.np.float32)
        samples.soundfile.write(content, spoilt, 8000, format="WAV", subtype="FLOAT")
        assert "samples that are not numbers" in await refusal(part_of(content.getvalue()), blobs)

    async def test_broken_json(self, blobs):
        assert "not valid JSON" in await refusal(part_of(b'{"a": ', "x.json"), blobs)
        assert "not valid JSON" in await refusal(part_of(b"[" * 100_000, "x.json"), blobs)

    async def test_a_cut_parquet_and_a_cut_word_file(self, blobs):
        assert "Parquet" in await refusal(part_of(samples.parquet()[:-20]), blobs)
        assert "Word" in await refusal(part_of(samples.docx()[:-30]), blobs)

    async def test_a_word_file_that_unpacks_to_far_too_much(self, blobs):
        assert "unpacks to more" in await refusal(part_of(samples.docx("<w:p/>" * 12_000_000)), blobs)

    async def test_a_reference_to_nothing(self, blobs):
        ref = (await blobs.put_bytes(b"x")).model_copy(update={"digest": "sha256:" + "0" * 64})

        with pytest.raises(BlobNotFound):
            await PartInspector(blobs).inspect(0, Part(ref=ref))


NAMES = st.sampled_from(
    [None, "x.png", "x.wav", "x.pdf", "x.csv", "x.json", "x.docx", "x.parquet", "x.html", "x.svg", "x"]
)
SIGNATURES = st.sampled_from(
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"GIF89a",
        b"BM",
        b"II*\x00",
        b"RIFF\x00\x00\x00\x00WAVEfmt ",
        b"fLaC",
        b"OggS",
        b"ID3",
        b"\xff\xfb",
        b"%PDF-1.7\n",
        b"PAR1",
        b"PK\x03\x04",
        b"<html>",
        b"a,b\n",
        b"{",
        b"\xff\xfe",
        b"\xff\xfe\x00\x00",
    ]
)


@given(signature=SIGNATURES, body=st.binary(max_size=300), name=NAMES)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_under_any_name_are_seen_or_refused(signature: bytes, body: bytes, name: str | None):
    inspector = PartInspector(ObstoreBlobs.from_url("memory://"))
    part = part_of(signature + body, name)
    try:
        _, digest, seen = inspector._decode(part, None)
    except Damaged:
        return
    assert digest.startswith("sha256:")
    assert PartPercept(index=0, digest=digest, size_bytes=1, **percept_fields(seen)).model_dump_json()


BREAKABLE = [
    samples.picture("PNG"),
    samples.picture("JPEG"),
    samples.picture("TIFF"),
    samples.picture("WEBP"),
    samples.animation(),
    samples.sound(0.05),
    samples.sound(0.05, "FLAC"),
    samples.sound(0.05, "OGG"),
    samples.pdf(),
    samples.parquet(),
    samples.docx(),
    samples.CSV,
]


@given(whole=st.sampled_from(BREAKABLE), data=st.data())
@settings(max_examples=400, deadline=None)
def test_real_files_with_wrong_bytes_are_seen_or_refused(whole: bytes, data: st.DataObject):
    broken = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    inspector = PartInspector(ObstoreBlobs.from_url("memory://"))
    try:
        _, _, seen = inspector._decode(part_of(bytes(broken)), None)
    except Damaged:
        return
    assert percept_fields(seen)


def percept_fields(seen):
    return {"modality": seen.modality, "media_type": seen.media_type, "facts": seen.facts}
