"""Bytes of all kinds become pictures and sounds as encoders want them, or are refused with the reason."""

import contextlib
import io
import itertools
import struct
import zlib

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tensor_layer.encoding.pictures import decode_picture
from tensor_layer.encoding.sounds import decode_sound, sound_windows
from tensor_layer.inspection.content import Damaged


def saved(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def two_halves() -> Image.Image:
    """40 x 20, red on the left, blue on the right."""
    image = Image.new("RGB", (40, 20), "red")
    image.paste("blue", (20, 0, 40, 20))
    return image


def test_a_photo_taken_sideways_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright
    picture = decode_picture(saved(two_halves(), "JPEG", exif=exif, quality=95))

    assert picture.size == (20, 40)
    top, bottom = np.asarray(picture)[5, 10], np.asarray(picture)[35, 10]
    assert top[0] > 200 > top[2]
    assert bottom[2] > 200 > bottom[0]


def test_of_an_animation_the_first_frame_is_seen():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    for form in ("GIF", "WEBP", "PNG"):
        content = saved(frames[0], form, save_all=True, append_images=frames[1:])
        assert np.asarray(decode_picture(content))[4, 4].tolist() == pytest.approx([255, 0, 0], abs=4)


def test_transparency_shows_white_paper():
    content = saved(Image.new("RGBA", (4, 4), (0, 0, 0, 0)))

    assert np.asarray(decode_picture(content)).tolist() == [[[255, 255, 255]] * 4] * 4


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr"])
def test_every_colour_mode_becomes_rgb(mode: str):
    form = "TIFF" if mode in ("CMYK", "F", "I", "YCbCr") else "PNG"
    if mode == "PA":
        mode, form = "P", "GIF"
    image = Image.new(mode, (6, 5), 1)

    assert decode_picture(saved(image, form)).mode == "RGB"


def test_sixteen_bits_are_scaled_and_not_clipped():
    values = np.array([[0, 32768, 65535]], dtype=np.uint16)

    assert np.asarray(decode_picture(saved(Image.fromarray(values))))[0, :, 0].tolist() == [0, 127, 255]


def test_pictures_of_fractions_are_bright_where_they_are_one():
    values = np.array([[0.0, 0.5, 1.0]], dtype=np.float32)

    assert np.asarray(decode_picture(saved(Image.fromarray(values), "TIFF")))[0, :, 0].tolist() == [0, 127, 255]


def png_of_promised_size(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def wav(samples: np.ndarray, rate_hz: int, subtype: str = "FLOAT") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, subtype=subtype, format="WAV")
    return file.getvalue()


WAV = wav(np.ones((50, 1), np.float32), 16_000)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no image"),
        (saved(two_halves())[:-30], r"the image \(image/png\) is damaged or cut off: "),
        (saved(two_halves(), "JPEG")[:200], r"the image \(image/jpeg\) is damaged or cut off: "),
        (saved(two_halves())[:10], "damaged or cut off: its header cannot be read"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>', "no image: its content is an SVG drawing"),
        (b"\x7fELF" + bytes(500), "no image: its content is a file that is not decoded here .*x-executable"),
        (b"MZ" + bytes(500), "no image: its content is a file that is not decoded here .*x-msdownload"),
        (WAV, r"no image: its content is a sound \(audio/wav\)"),
        (png_of_promised_size(60_000, 60_000), "pixels"),
        (png_of_promised_size(2**31 - 1, 2**31 - 1), "pixels|damaged"),
        (saved(Image.new("L", (3000, 2))), "strip"),
    ],
    ids=itertools.count(),  # the bytes of a WAV hold the time
)
def test_what_is_no_picture_is_refused_with_the_reason(content: bytes, words: str):
    with pytest.raises(Damaged, match=words) as refused:
        decode_picture(content)
    assert "<_io" not in refused.value.problem


def test_the_pixel_limit_is_heard_before_anything_is_decoded():
    with pytest.raises(Damaged, match="40 x 20 pixels; at most 100"):
        decode_picture(saved(two_halves()), pixels_max=100)


def test_a_huge_picture_is_reduced_to_what_encoders_look_at():
    picture = decode_picture(saved(two_halves().resize((5000, 2500)), "JPEG"))

    assert picture.size == (2500, 1250)
    assert np.asarray(picture)[600, 600, 0] > 200


def tone(rate_hz: int, seconds: float = 0.5, channels: int = 1) -> np.ndarray:
    one = np.sin(2 * np.pi * 440 * np.arange(int(rate_hz * seconds)) / rate_hz)
    return np.repeat(one[:, None], channels, axis=1).astype(np.float32)


@pytest.mark.parametrize(("rate_hz", "channels"), [(8_000, 1), (16_000, 2), (44_100, 2), (48_000, 6), (192_000, 8)])
def test_any_rate_and_channels_become_the_same_16_khz_mono(rate_hz: int, channels: int):
    sound = decode_sound(wav(tone(rate_hz, channels=channels), rate_hz))

    assert sound.dtype == np.float32
    assert abs(len(sound) - 8_000) <= 2
    spectrum = np.abs(np.fft.rfft(sound))
    assert abs(np.argmax(spectrum) * 16_000 / len(sound) - 440) < 4
    assert np.abs(sound[1000:-1000]).max() == pytest.approx(1.0, abs=0.02)


def test_of_a_long_sound_the_beginning_is_heard():
    assert len(decode_sound(wav(tone(8_000, 3.0), 8_000), seconds_max=1.5)) == pytest.approx(24_000, abs=2)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no sound"),
        (b"ID3" + bytes(100), r"the sound \(audio/mpeg\) is damaged or cut off: Format not recognised\."),
        (saved(Image.new("L", (4, 4))), r"no sound: its content is an image \(image/png\)"),
        (WAV[:150], "cut off: its header speaks of"),
        (wav(np.zeros((0, 1), np.float32), 16_000), "0 s"),
        (wav(np.array([[0.5], [np.nan]], np.float32), 16_000), "not numbers"),
        (wav(np.array([[0.5], [np.inf]], np.float32), 48_000), "not numbers"),
        (wav(tone(16_000), 10), "samples a second"),
    ],
    ids=itertools.count(),  # the bytes of a WAV hold the time
)
def test_what_is_no_sound_is_refused_with_the_reason(content: bytes, words: str):
    with pytest.raises(Damaged, match=words):
        decode_sound(content)


def test_one_sample_is_a_sound():
    assert len(decode_sound(wav(np.full((1, 1), 0.5, np.float32), 16_000))) == 1


def test_windows_cover_a_sound_but_for_a_last_moment():
    assert [len(each) for each in sound_windows(np.zeros(250, np.float32), 100)] == [100, 100, 50]
    assert [len(each) for each in sound_windows(np.zeros(203, np.float32), 100)] == [100, 100]
    assert [len(each) for each in sound_windows(np.zeros(1, np.float32), 100)] == [1]


SEEDS = [
    saved(two_halves()),
    saved(two_halves(), "JPEG"),
    saved(two_halves(), "GIF"),
    saved(two_halves(), "WEBP"),
    saved(two_halves(), "TIFF"),
    saved(two_halves(), "BMP"),
    wav(tone(8_000, 0.05), 8_000),
    wav(tone(8_000, 0.05, 2), 8_000, "PCM_16"),
]


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=8), st.data())
def test_damaged_bytes_are_decoded_or_refused_and_nothing_else(
    seed: bytes, changes: list[tuple[int, int]], data: st.DataObject
):
    content = bytearray(seed)
    for place, value in changes:
        content[place % len(content)] = value
    cut = data.draw(st.integers(0, len(content)))

    for decode in (decode_picture, decode_sound):
        with contextlib.suppress(Damaged):
            assert len(np.asarray(decode(bytes(content[:cut]))))
