"""Makes the sample inputs of this folder again: ``python make_inputs.py``. Fixed seeds; the files are committed.

speech.wav needs espeak-ng on the machine and is left alone without it. Everything else needs the `examples` extra.
"""

import csv
import io
import random
import shutil
import subprocess
import textwrap
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import docx
import matplotlib
import numpy as np
import pypdf
import soundfile
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from PIL.TiffImagePlugin import IFDRational

HERE = Path(__file__).parent
BAD = HERE / "bad"
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
RATE_HZ = 16_000

REPORT_PAGES = (
    (
        "Harbour Bikes: the first year",
        """Harbour Bikes opened in March with forty electric bicycles, six docking stations and a staff of nine. This
        report looks back on the first twelve months and says plainly what worked and what did not.

        The service is loved by the people who use it. Riders made 48,200 trips in the year, three times the number in
        the plan, and nine out of ten riders in the spring survey said that they would recommend it to a friend. The
        bicycles are comfortable, the staff at the workshop are friendly and quick, and the new lane along the quay
        made the ride to the station a pleasure.

        Income from subscriptions reached 312,000 euros, which is an excellent result for a town of our size. The
        partnership with the hospital is our greatest success: its night staff ride home safely and for free, and the
        hospital renewed the contract for two years without asking for a discount.

        The winter was hard. Between November and February the number of trips fell by half, and the terrible storm of
        12 January destroyed eleven bicycles and flooded the docking station at the fish market. The insurance refused
        to pay for the damage, which was a bitter disappointment.""",
    ),
    (
        "What riders complain about",
        """The application is the worst part of the service. It crashes on older telephones, the map is slow, and the
        refund form is confusing. In the autumn an awful error charged 640 riders twice, and it took us five weeks to
        return the money. Riders were angry, and they were right.

        Docking stations near the school are empty every morning and full every evening. The night lorry that should
        balance them broke down on nineteen days. We waited too long before we hired a second one.

        Vandalism was rare. Only seven bicycles were stolen, and five of them came back, two of them cleaner than when
        they left. We thank the scouts who found them in the canal.

        The workshop repaired 1,930 bicycles with two mechanics. Flat tyres were the most frequent fault, followed by
        worn brakes. The average repair took 34 minutes, down from 51 minutes in the first quarter.""",
    ),
    (
        "The second year",
        """We will rebuild the application from the ground up and publish it in May. The new version works without a
        network, and a tester with poor eyesight called it a delight.

        We will buy twenty more bicycles and two cargo bicycles for families. Three new docking stations will open at
        the swimming pool, the library and the northern ferry. The town council supports the plan and gave us
        90,000 euros towards it.

        The risk that worries us most is the price of batteries, which rose by 22 percent in the year. If it rises
        again, we must choose between higher prices and fewer bicycles. We would choose fewer bicycles.

        Taken together it was a good year. The town has a clean, cheerful and reliable way to move, and we have learned
        to fix our mistakes faster than we make them.""",
    ),
)

REVIEWS = """\
I love this kettle. It boils in two minutes and it looks beautiful on the counter.
Terrible. The handle broke after a week and the shop refused to give me my money back.
It is a kettle. It boils water.
Best purchase of the year, quiet and quick, and my father can use it without his glasses.
The lid leaks steam on your hand, which is dangerous. I am very disappointed.
Good value for the price, and the delivery was fast and friendly.
"""

LETTER = """\
Chère Madame,

Je vous remercie de votre lettre du 4 mars et de la patience dont vous avez fait preuve. Votre vélo est réparé depuis
hier soir : nous avons changé la chaîne, les deux freins et la lampe arrière, qui ne fonctionnait plus.

Vous pouvez venir le chercher à l'atelier du lundi au vendredi, entre neuf heures et dix-sept heures. La réparation
coûte 86,50 euros, que vous pouvez régler sur place. Si vous ne pouvez pas vous déplacer, nous le livrons volontiers
chez vous le samedi matin.

Veuillez agréer, chère Madame, l'expression de nos sentiments les meilleurs.

Julien Moreau
Atelier du Port
"""

MINUTES = """\
Minutes of the water committee

Present: Ana Ferreira, Tom Okafor, Lena Brandt. The meeting opened at 18:00 on 14 April 2026.

Rainwater harvesting is the committee's first concern. The reservoir above the village stood at 41 percent in March, the
lowest level since measurements began. Tom Okafor presented a plan for rainwater tanks on public roofs: the school, the
sports hall and the fire station together collect about 900 cubic metres in a normal year.

Lena Brandt compared drip irrigation with sprinklers on the football field. Drip irrigation needs 38 percent less water
and pays for itself in four years. The committee asks the council to approve drip irrigation and rainwater tanks in one
budget.

Leaks in the old pipes under Mill Street lose an estimated 60 cubic metres a week. The repair will begin on 4 May 2026
and cost 27,400 euros. Questions go to water@example.org."""

INVOICE = (("Item", "Qty", "Amount"), ("Brake pads", "12", "86.40"), ("Inner tubes", "30", "142.50"),
           ("Chain oil", "8", "63.20"), ("Bell, brass", "15", "118.25"), ("Saddle cover", "6", "74.10"))  # fmt: skip


def sales(path: Path) -> None:
    """200 sales of a bicycle shop over 2025; revenue is quantity times unit price."""
    chance = random.Random(7)
    prices = {
        "City bike": 640.0,
        "Cargo bike": 2150.0,
        "Helmet": 59.0,
        "Lock": 39.5,
        "Child seat": 115.0,
        "Light set": 27.9,
    }
    weights = {"North": 3, "South": 5, "East": 2, "West": 4}
    rows = []
    for number in range(200):
        month, day = chance.randint(1, 12), chance.randint(1, 28)
        product = chance.choices(list(prices), weights=[5, 1, 8, 9, 3, 8])[0]
        region = chance.choices(list(weights), weights=list(weights.values()))[0]
        quantity = chance.randint(1, 3 if prices[product] > 500 else 12)
        revenue = round(quantity * prices[product], 2)
        rows.append(
            [f"2025-{month:02}-{day:02}", f"S{1000 + number}", region, product, quantity, prices[product], revenue]
        )
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["date", "order_id", "region", "product", "quantity", "unit_price", "revenue"])
        writer.writerows(sorted(rows))


def report(path: Path) -> None:
    """Three pages of prose as a PDF whose text can be extracted."""
    facts = {"Title": REPORT_PAGES[0][0], "CreationDate": None, "ModDate": None}
    fonts = matplotlib.rc_context({"pdf.fonttype": 42, "font.family": "DejaVu Serif"})
    with fonts, PdfPages(path, metadata=facts) as pdf:
        for title, prose in REPORT_PAGES:
            pdf.savefig(_page(title, prose))


def _page(title: str, prose: str) -> Figure:
    page = Figure(figsize=(8.27, 11.69))
    page.text(0.1, 0.92, title, fontsize=18, weight="bold")
    paragraphs = (" ".join(paragraph.split()) for paragraph in prose.split("\n\n"))
    body = "\n\n".join(textwrap.fill(paragraph, 88) for paragraph in paragraphs)
    page.text(0.1, 0.88, body, fontsize=10.5, va="top", linespacing=1.5)
    return page


def invoice_scan(path: Path) -> None:
    """A picture of a printed invoice as a cheap scanner gives it: grey paper, noise, 1.2 degrees off."""
    page = Image.new("L", (1000, 760), 246)
    pen = ImageDraw.Draw(page)
    bold, plain = (
        ImageFont.truetype(FONTS / "DejaVuSans-Bold.ttf", 34),
        ImageFont.truetype(FONTS / "DejaVuSans.ttf", 28),
    )
    pen.text((70, 60), "Harbour Bikes", fill=20, font=bold)
    pen.text((70, 115), "Invoice 2026-0417", fill=30, font=plain)
    for number, (item, quantity, amount) in enumerate(INVOICE):
        font = bold if number == 0 else plain
        top = 210 + 66 * number
        for text, right in ((quantity, 600), (amount, 880)):
            pen.text((right - font.getlength(text), top), text, fill=25, font=font)
        pen.text((70, top), item, fill=25, font=font)
    pen.line((60, 262, 900, 262), fill=60, width=2)
    pen.line((60, 612, 900, 612), fill=60, width=2)
    scanned = page.rotate(1.2, resample=Image.Resampling.BICUBIC, fillcolor=235).filter(ImageFilter.GaussianBlur(0.6))
    noise = np.random.default_rng(3).normal(0, 7, (760, 1000))
    pixels = np.clip(np.asarray(scanned, dtype=float) + noise, 0, 255)
    Image.fromarray((pixels // 8 * 8).astype(np.uint8)).save(path, optimize=True)


def harbour_photo(path: Path) -> None:
    """A painted evening at the harbour with camera EXIF: sky, sun, sea, a boat."""
    height, width = 600, 900
    chance = np.random.default_rng(11)
    rows = np.linspace(0, 1, height)[:, None, None]
    sky = (1 - rows) * np.array([40, 70, 150]) + rows * np.array([255, 150, 60])
    pixels = np.broadcast_to(sky, (height, width, 3)).copy()
    pixels[360:] = np.array([20, 60, 110]) + chance.normal(0, 10, (240, width, 1)) * np.array([0.6, 0.8, 1.0])
    photo = Image.fromarray(np.clip(pixels + chance.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(photo)
    pen.ellipse((620, 230, 720, 330), fill=(255, 225, 120))
    pen.polygon(((200, 380), (420, 380), (380, 430), (240, 430)), fill=(110, 50, 30))
    pen.polygon(((310, 150), (310, 370), (410, 370)), fill=(240, 235, 220))
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0132] = "Example Optics", "Harbour 50", "2026:06:21 21:14:05"
    exif.get_ifd(0x8769).update(
        {0x829A: IFDRational(1, 250), 0x829D: IFDRational(8), 0x8827: 200, 0x9003: "2026:06:21 21:14:05"}
    )
    photo.save(path, quality=82, exif=exif)


def chime(path: Path) -> None:
    """Three bell notes, C5 E5 G5, each with partials that die away."""
    sound = np.zeros(int(RATE_HZ * 2.4))
    for number, pitch_hz in enumerate((523.25, 659.25, 783.99)):
        start = int(RATE_HZ * 0.5 * number)
        seconds = np.arange(len(sound) - start) / RATE_HZ
        for partial, strength in ((1, 1.0), (2, 0.35), (3, 0.15)):
            sound[start:] += (
                strength * np.exp(-3.0 * partial * seconds) * np.sin(2 * np.pi * pitch_hz * partial * seconds)
            )
    soundfile.write(path, 0.6 * sound / np.abs(sound).max(), RATE_HZ, subtype="PCM_16")


def tone(path: Path) -> None:
    """Concert pitch: one and a half seconds of 440 Hz."""
    seconds = np.arange(int(RATE_HZ * 1.5)) / RATE_HZ
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * seconds), RATE_HZ, subtype="PCM_16")


def rain(path: Path) -> None:
    """White noise that sounds like rain on a roof."""
    sound = 0.1 * np.random.default_rng(5).normal(size=RATE_HZ * 2)
    soundfile.write(path, np.clip(sound, -1, 1), RATE_HZ, subtype="PCM_16")


def speech(path: Path) -> None:
    """A spoken sentence, when espeak-ng is there to speak it."""
    if shutil.which("espeak-ng"):
        sentence = "The ferry to the northern island leaves at a quarter past nine. Please have your ticket ready."
        subprocess.run(["espeak-ng", "-v", "en-gb", "-s", "150", "-w", str(path), sentence], check=True)


def minutes(path: Path) -> None:
    """Minutes of a meeting as a Word document with a table."""
    document = docx.Document()
    heading, *paragraphs = MINUTES.split("\n\n")
    document.add_heading(heading)
    for paragraph in paragraphs:
        document.add_paragraph(paragraph.replace("\n", " "))
    table = document.add_table(rows=0, cols=2)
    for cells in (("Measure", "Cost in euros"), ("Rainwater tanks", "18,500"), ("Drip irrigation", "9,200")):
        for cell, text in zip(table.add_row().cells, cells, strict=True):
            cell.text = text
    document.core_properties.created = document.core_properties.modified = datetime(2026, 4, 15, tzinfo=UTC)
    buffer = io.BytesIO()
    document.save(buffer)
    with zipfile.ZipFile(buffer) as written, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as fixed:
        for entry in written.namelist():
            fixed.writestr(zipfile.ZipInfo(entry, (2026, 4, 15, 0, 0, 0)), written.read(entry), zipfile.ZIP_DEFLATED)


def bad_inputs() -> None:
    """What people send by mistake. Each must be refused in words."""
    (BAD / "truncated.png").write_bytes((HERE / "invoice_scan.png").read_bytes()[:6000])
    (BAD / "empty.wav").write_bytes(b"")
    (BAD / "no_samples.wav").write_bytes(_wav(np.zeros(0)))
    (BAD / "not_audio.wav").write_bytes(b"This is a text file with a misleading name.\n")
    (BAD / "header_only.csv").write_text("date,region,revenue\n")
    (BAD / "binary.csv").write_bytes(bytes(range(256)) * 8)
    (BAD / "damaged.pdf").write_bytes((HERE / "harbour_bikes.pdf").read_bytes()[:900])
    (BAD / "damaged.docx").write_bytes((HERE / "minutes.docx").read_bytes()[:2000])
    (BAD / "blank.txt").write_text("   \n")
    Image.new("L", (400, 300), 255).save(BAD / "blank_page.png", optimize=True)
    if not (BAD / "encrypted.pdf").exists():  # its keys are random: a new one would differ every time
        writer = pypdf.PdfWriter(clone_from=HERE / "harbour_bikes.pdf")
        writer.encrypt("harbour", algorithm="AES-256")
        writer.write(BAD / "encrypted.pdf")
    scan = Image.open(HERE / "invoice_scan.png").resize((500, 380))
    scan.save(BAD / "scan_without_text.pdf", resolution=72, creationDate=time.gmtime(0), modDate=time.gmtime(0))


def _wav(samples: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE_HZ, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def main() -> None:
    """Write every file of the folder."""
    BAD.mkdir(exist_ok=True)
    sales(HERE / "sales.csv")
    report(HERE / "harbour_bikes.pdf")
    invoice_scan(HERE / "invoice_scan.png")
    harbour_photo(HERE / "harbour.jpg")
    chime(HERE / "chime.wav")
    tone(HERE / "tone.wav")
    rain(HERE / "rain.wav")
    speech(HERE / "speech.wav")
    minutes(HERE / "minutes.docx")
    (HERE / "reviews.txt").write_text(REVIEWS)
    (HERE / "letter_fr.txt").write_text(LETTER)
    bad_inputs()


if __name__ == "__main__":
    main()
