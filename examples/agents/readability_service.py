"""Readability judge: a plain HTTP service (Starlette). POST /invoke takes an invocation, GET /healthz says it is well.

Flesch reading ease (1948) and Flesch-Kincaid grade (1975); syllables are counted by groups of vowels, for English.
"""

import os
import re
from collections import OrderedDict

import uvicorn
from parts import Invocation, Lacks, Part, answering, content_text, text_output
from prose import sentences, words
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

DEFAULT_PORT = 8911
MOST_BODY_BYTES = 8 * 1024 * 1024
REMEMBERED_STEPS = 1024
READ_WORDS_PER_MINUTE = 230
LEVELS = ((90, "very easy"), (70, "easy"), (60, "plain"), (50, "fairly difficult"), (30, "difficult"))


@answering
def judge(invocation: Invocation) -> list[Part]:
    """Counts, scores and the longest sentence."""
    text = content_text(invocation)
    found, spoken = sentences(text), words(text)
    if len(spoken) < 3:
        raise Lacks("The text is too short to be judged. Attach a longer one or write it after a colon.")
    syllables = sum(map(syllables_in, spoken))
    per_sentence, per_word = len(spoken) / len(found), syllables / len(spoken)
    ease = 206.835 - 1.015 * per_sentence - 84.6 * per_word
    grade = max(0.0, 0.39 * per_sentence + 11.8 * per_word - 15.59)
    level = next((name for least, name in LEVELS if ease >= least), "very difficult")
    longest = max(found, key=lambda sentence: len(words(sentence)))
    minutes = len(spoken) / READ_WORDS_PER_MINUTE
    said = (
        f"Readability: {level} (Flesch reading ease {ease:.0f} of 100, school grade {grade:.1f})\n"
        f"{len(spoken):,} words in {len(found):,} sentences, {per_sentence:.1f} words a sentence, "
        f"{len(set(spoken)):,} different words, {len(text):,} characters\n"
        f"Reading time: {f'{minutes:.0f} min' if minutes >= 1.5 else f'{max(1, round(minutes * 60))} s'}\n"
        f"Longest sentence ({len(words(longest))} words): {longest[:300]}"
    )
    return [text_output(said, "readability.txt")]


def syllables_in(word: str) -> int:
    """Groups of vowels, less a silent final e: 'made' has one, 'table' two."""
    groups = len(re.findall(r"[aeiouyàâäéèêëîïôöùûü]+", word))
    silent = re.search(r"[^aeiouyl]e$", word) is not None and groups > 1
    return max(1, groups - silent)


class Service:
    """The two routes. A step that comes again gets the answer it got before."""

    def __init__(self) -> None:
        self._replies: OrderedDict[str, dict] = OrderedDict()

    async def invoke(self, request: Request) -> JSONResponse:
        """An invocation in, a reply out; 400 for what is no invocation, 413 for a body past the limit."""
        if int(request.headers.get("content-length") or 0) > MOST_BODY_BYTES:
            return JSONResponse({"error": "A request may have 8 MiB; send the text by reference."}, 413)
        try:
            invocation = await request.json()
            step = str(invocation["step_id"])
            inputs_are_parts = all(isinstance(part, dict) for part in invocation["inputs"])
        except (ValueError, KeyError, TypeError):
            inputs_are_parts = False
        if not inputs_are_parts:
            return JSONResponse({"error": "The body must be an invocation in JSON, with step_id and inputs."}, 400)
        if step not in self._replies:
            reply = await run_in_threadpool(judge, invocation)
            if reply.get("error", {}).get("retryable"):
                return JSONResponse(reply)
            self._replies[step] = reply
            if len(self._replies) > REMEMBERED_STEPS:
                self._replies.popitem(last=False)
        return JSONResponse(self._replies[step])

    async def health(self, _request: Request) -> PlainTextResponse:
        """Reaching this is being well."""
        return PlainTextResponse("ok")


def app() -> Starlette:
    """The service, ready to be served."""
    service = Service()
    return Starlette(routes=[Route("/invoke", service.invoke, methods=["POST"]), Route("/healthz", service.health)])


if __name__ == "__main__":
    uvicorn.run(app(), host="127.0.0.1", port=int(os.environ.get("PORT", DEFAULT_PORT)), log_level="warning")
