"""Events travel as frames that every SSE client reads."""

from gateway.bus.stream_reader import Stored
from gateway.http.event_stream import frame
from gateway.task_following import kind_of
from schemas.base import now


def test_a_frame_has_id_kind_and_data():
    stored = Stored(7, "aos.t.task.event.x", b'{"task_id":"x","kind":"started"}', now(), deleted=False)
    assert frame(stored) == b'id: 7\nevent: started\ndata: {"task_id":"x","kind":"started"}\n\n'


def test_json_over_several_lines_stays_one_event():
    stored = Stored(7, "s", b'{\n "kind": "failed"\n}', now(), deleted=False)
    assert frame(stored) == b'id: 7\nevent: failed\ndata: {\ndata:  "kind": "failed"\ndata: }\n\n'


def test_the_kind_of_something_else_is_empty():
    assert kind_of(b"not an event") == b""
