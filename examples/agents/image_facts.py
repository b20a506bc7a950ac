"""Picture examiner: size, format, light, sharpness, main colours by name, camera EXIF. It reads no words: ocr does."""

import io

import numpy as np
from parts import CannotDo, Invocation, Part, answering, bytes_of, label, text_output, the_first
from PIL import ExifTags, Image, ImageOps

EXAMINED_SIDE_PX = 256
COLOURS_NAMED = 5
LEAST_SHARE = 0.03
Image.MAX_IMAGE_PIXELS = 60_000_000
NAMED_COLOURS = {
    "black": (0, 0, 0), "dark grey": (70, 70, 70), "grey": (128, 128, 128), "light grey": (200, 200, 200),
    "white": (250, 250, 250), "red": (210, 30, 30), "dark red": (110, 20, 25), "orange": (240, 140, 40),
    "brown": (110, 65, 35), "beige": (225, 205, 170), "yellow": (245, 220, 60), "olive": (120, 120, 40),
    "green": (50, 150, 60), "dark green": (20, 75, 40), "light green": (150, 215, 150), "teal": (20, 130, 130),
    "light blue": (150, 200, 235), "blue": (45, 95, 200), "dark blue": (25, 45, 110), "purple": (120, 60, 150),
    "mauve": (150, 120, 145), "pink": (240, 160, 185),
}  # fmt: skip
EXIF_SAID = ("Make", "Model", "DateTimeOriginal", "ExposureTime", "FNumber", "ISOSpeedRatings", "FocalLength")


@answering
def run(invocation: Invocation) -> list[Part]:
    """The facts, one on a line."""
    picture = the_first(invocation, "image", "a photo in PNG or JPEG")
    content = bytes_of(picture)
    try:
        with Image.open(io.BytesIO(content)) as opened:
            facts = _header(picture, opened, len(content)) + _exif(opened)
            upright = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as problem:
        message = f"{label(picture)} cannot be opened as a picture: {problem}. Send it again as PNG or JPEG."
        raise CannotDo("unreadable", message) from problem
    upright.thumbnail((EXAMINED_SIDE_PX, EXAMINED_SIDE_PX))
    pixels = np.asarray(upright, dtype=np.float32)
    return [text_output("\n".join([*facts, *_light(pixels), _colours(upright)]), "picture-facts.txt")]


def _header(picture: Part, opened: Image.Image, size_bytes: int) -> list[str]:
    width, height = opened.size
    shape = "square" if abs(width - height) < 0.03 * width else "landscape" if width > height else "portrait"
    return [
        f"{label(picture)}: {opened.format} picture, {width} x {height} pixels "
        f"({width * height / 1e6:.2f} megapixels), {shape}, {size_bytes / 1024:,.0f} KiB",
        f"Colour mode: {opened.mode}" + (", has transparency" if "A" in opened.getbands() else ""),
    ]


def _exif(opened: Image.Image) -> list[str]:
    exif = opened.getexif()
    tags = {ExifTags.TAGS.get(tag, ""): value for tag, value in (*exif.items(), *exif.get_ifd(0x8769).items())}
    said = [f"{name} {_exif_value(name, tags[name])}" for name in EXIF_SAID if tags.get(name)]
    return ["Camera (EXIF): " + ", ".join(said)] if said else ["Camera (EXIF): none"]


def _exif_value(name: str, value: object) -> str:
    """The value as photographers write it. Cameras write strange EXIF: what is no number is said as it stands."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return str(value).strip("\x00 ")[:60]
    if name == "ExposureTime":
        return f"1/{1 / number:.0f} s" if 0 < number < 1 else f"{number:g} s"
    return {"FNumber": f"f/{number:g}", "FocalLength": f"{number:g} mm"}.get(name, f"{number:g}")


def _light(pixels: np.ndarray) -> list[str]:
    """Brightness and contrast of luma (ITU-R BT.601), a histogram in eight steps, colourfulness, sharpness."""
    luma = pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    mean, spread = float(luma.mean()) / 255, float(luma.std()) / 255
    light = "dark" if mean < 0.3 else "bright" if mean > 0.7 else "medium"
    contrast = "low" if spread < 0.12 else "high" if spread > 0.28 else "medium"
    steps, _ = np.histogram(luma, bins=8, range=(0, 256))
    said = " ".join(f"{share:.0%}" for share in steps / max(luma.size, 1))
    lines = [
        f"Brightness: {mean:.0%} ({light}); contrast: {spread:.0%} ({contrast})",
        f"Histogram from dark to bright: {said}",
    ]
    chroma = float((pixels.max(axis=2) - pixels.min(axis=2)).mean()) / 255
    lines.append(f"Colourfulness: {chroma:.0%}" + (" (greyscale)" if chroma < 0.02 else ""))
    if min(luma.shape) >= 3:
        laplacian = 4 * luma[1:-1, 1:-1] - luma[:-2, 1:-1] - luma[2:, 1:-1] - luma[1:-1, :-2] - luma[1:-1, 2:]
        sharpness = float(laplacian.var())
        lines.append(f"Sharpness: {sharpness:.0f} ({'blurred or flat' if sharpness < 50 else 'sharp'})")
    return lines


def _colours(upright: Image.Image) -> str:
    """Median-cut palette, each entry called by the nearest named colour, with its share of the picture."""
    reduced = upright.quantize(16, method=Image.Quantize.MEDIANCUT)
    palette = np.asarray(reduced.getpalette(), dtype=np.float32).reshape(-1, 3)
    names = list(NAMED_COLOURS)
    known = np.asarray([NAMED_COLOURS[name] for name in names], dtype=np.float32)
    shares: dict[str, float] = {}
    total = upright.width * upright.height
    for count, index in reduced.getcolors() or []:
        name = names[int(np.argmin(_distance(palette[index], known)))]
        shares[name] = shares.get(name, 0.0) + count / total
    best = sorted(shares.items(), key=lambda pair: -pair[1])[:COLOURS_NAMED]
    return "Main colours: " + ", ".join(f"{name} {share:.0%}" for name, share in best if share >= LEAST_SHARE)


def _distance(colour: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The 'redmean' distance, a cheap approximation of how different colours look (Riemersma)."""
    red_mean = (colour[0] + known[:, 0]) / 2
    delta = (colour - known) ** 2
    return (2 + red_mean / 256) * delta[:, 0] + 4 * delta[:, 1] + (2 + (255 - red_mean) / 256) * delta[:, 2]
