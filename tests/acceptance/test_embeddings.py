"""The running system makes vectors for anybody: the worker's own encoder answers, and nobody holds it twice."""

import numpy as np


async def test_the_door_of_a_running_system_makes_vectors_that_mean_something(door):
    inputs = ["How do I cook rice?", "a recipe for boiled rice", "the engine of a lorry"]

    reply = await door.post("/v1/embeddings", json={"model": "all-MiniLM-L6-v2", "input": inputs})

    assert reply.status_code == 200, reply.text
    question, recipe, engine = np.array([item["embedding"] for item in reply.json()["data"]])
    assert len(question) == 384
    assert question @ recipe > 0.5 > 0.2 > question @ engine
