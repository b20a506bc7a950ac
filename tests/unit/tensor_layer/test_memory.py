"""What is remembered of parts is found by all that a look at them depends on, and by nothing else."""

from schemas.parts import BlobRef, Modality, Part
from tensor_layer.memory import key_of

DIGEST = "sha256:" + "0" * 64


def test_parts_that_differ_in_anything_have_different_keys():
    parts = [
        Part(text="AAAA"),
        Part(text="AAAB"),
        Part(text="AAAA", modality=Modality.TEXT),
        Part(text="AAAA", media_type="text/plain"),
        Part(text="AAAA", name="a.txt"),
        Part(data="AAAA"),
        Part(data="AAAB"),
        Part(text=""),
        Part(data=""),
        Part(ref=BlobRef(digest=DIGEST, size_bytes=3)),
        Part(ref=BlobRef(digest=DIGEST.replace("0", "1"), size_bytes=3)),
        Part(text=DIGEST),
    ]
    assert len({key_of(part) for part in parts}) == len(parts)


def test_the_same_content_has_the_same_key_wherever_a_copy_may_be_got():
    ref = BlobRef(digest=DIGEST, size_bytes=3)
    elsewhere = ref.model_copy(update={"url": "http://door/v1/blobs/0"})
    assert key_of(Part(ref=ref, name="a.png")) == key_of(Part(ref=elsewhere, name="a.png"))
    assert key_of(Part(text="half \ud800")) == key_of(Part(text="half \ud800"))
