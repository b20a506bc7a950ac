"""What happened can be told afterwards, step by step, from what the running gateway kept."""

import json


async def test_a_finished_task_is_listed_shown_and_told_moment_by_moment(stack, door):
    body = {"text": "What is 15% of 240?"}
    task_id = (await door.post("/v1/tasks?wait=40", json=body)).json()["task_id"]
    await stack.experience_of(task_id)

    code, listed = await stack.aos("replay", "list", "--json")
    assert code == 0, listed
    assert task_id in listed

    code, shown = await stack.aos("replay", "show", task_id)
    assert code == 0, shown
    assert "calculator" in shown

    code, told = await stack.aos("replay", "timeline", task_id, "--json")
    assert code == 0, told
    moments = json.loads(told)
    kinds = [moment["what"] for moment in moments]
    assert kinds[-1] == "succeeded"
    workers = [place for place, moment in enumerate(moments) if "calculator" in moment["who"] + moment["detail"]]
    assert kinds.index("planned") < max(workers)
