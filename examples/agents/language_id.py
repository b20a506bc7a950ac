"""Language identifier: which language a text is written in, by py3langid (Lui and Baldwin, "langid.py", ACL 2012)."""

import functools

from parts import Invocation, Lacks, Part, answering, content_text, text_output
from prose import words
from py3langid.langid import MODEL_FILE, LanguageIdentifier

READ_CHARACTERS = 20_000
SURE = 0.9
UNSURE = 0.3
NAMES = {
    "af": "Afrikaans", "ar": "Arabic", "az": "Azerbaijani", "be": "Belarusian", "bg": "Bulgarian", "bn": "Bengali",
    "bs": "Bosnian", "ca": "Catalan", "cs": "Czech", "cy": "Welsh", "da": "Danish", "de": "German", "el": "Greek",
    "en": "English", "eo": "Esperanto", "es": "Spanish", "et": "Estonian", "eu": "Basque", "fa": "Persian",
    "fi": "Finnish", "fr": "French", "ga": "Irish", "gl": "Galician", "gu": "Gujarati", "he": "Hebrew", "hi": "Hindi",
    "hr": "Croatian", "hu": "Hungarian", "hy": "Armenian", "id": "Indonesian", "is": "Icelandic", "it": "Italian",
    "ja": "Japanese", "ka": "Georgian", "kk": "Kazakh", "km": "Khmer", "kn": "Kannada", "ko": "Korean", "ky": "Kyrgyz",
    "la": "Latin", "lb": "Luxembourgish", "lo": "Lao", "lt": "Lithuanian", "lv": "Latvian", "mk": "Macedonian",
    "ml": "Malayalam", "mn": "Mongolian", "mr": "Marathi", "ms": "Malay", "mt": "Maltese", "ne": "Nepali",
    "nl": "Dutch",
    "no": "Norwegian", "pa": "Punjabi", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian",
    "si": "Sinhala", "sk": "Slovak", "sl": "Slovenian", "sq": "Albanian", "sr": "Serbian", "sv": "Swedish",
    "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "th": "Thai", "tl": "Tagalog", "tr": "Turkish", "uk": "Ukrainian",
    "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese", "zu": "Zulu",
}  # fmt: skip


@functools.cache
def _identifier() -> LanguageIdentifier:
    """The model, narrowed to the languages that have a name here: short texts are told apart better."""
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([code for code in NAMES if code in set(identifier.labels)])
    return identifier


@answering
def run(invocation: Invocation) -> list[Part]:
    """The language, its code, how sure the model is, and the runners-up when it is not."""
    text = content_text(invocation)[:READ_CHARACTERS]
    if not words(text):
        raise Lacks("There are no words whose language could be told. Attach a text or write it after a colon.")
    (code, share), *others = _identifier().rank(text)
    sure = "" if share >= SURE else ", not certain" if share >= UNSURE else ", little more than a guess"
    said = f"Language: {NAMES[code]} ({code}), confidence {share:.0%}{sure}."
    close = [f"{NAMES[other]} {chance:.0%}" for other, chance in others[:3] if chance >= 0.05]
    return [text_output(said + (f" Otherwise: {', '.join(close)}." if close else ""), "language.txt")]
