"""What a sender says of a part, and which character set its bytes are in."""

import pytest

from schemas.parts import Part
from tensor_layer.inspection.claims import claims_of
from tensor_layer.inspection.content import Kind
from tensor_layer.inspection.sniffing import charset_of


def test_the_media_type_is_the_stronger_claim_and_the_name_the_other():
    said = claims_of(Part(data="", media_type=" Image/PNG; q=1", name="Report.PDF"))
    assert [(claim.kind, claim.media_type, claim.said) for claim in said] == [
        (Kind.IMAGE, "image/png", "its media type says image/png"),
        (Kind.PDF, "application/pdf", "it is named Report.PDF"),
    ]


@pytest.mark.parametrize("name", [None, "pdf", "notes", "x.unheard", "png."])
def test_a_name_without_a_known_ending_claims_nothing(name):
    assert claims_of(Part(data="", name=name)) == ()


def test_text_of_an_older_character_set_is_text_and_noise_is_not():
    text = "Größe und Höhe über alles, für die Übersicht: Köln, München und Zürich. " * 5
    charset = charset_of(text.encode("cp1252"))
    assert charset is not None
    assert text.encode("cp1252").decode(charset) == text
    assert charset_of(bytes(range(0x80, 0x100)) * 4) is None
    assert charset_of(text.encode()) == "utf-8"
