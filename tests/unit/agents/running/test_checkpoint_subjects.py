"""Any id can stand in a checkpoint's subject, and comes back out of it."""

from hypothesis import given
from hypothesis import strategies as st

from schemas import subjects

ANY = st.text(st.characters(codec="utf-8"), max_size=40)


@given(thread=ANY, namespace=ANY, checkpoint=ANY, task=ANY)
def test_what_goes_into_a_subject_comes_out(thread, namespace, checkpoint, task):
    place = thread, namespace, checkpoint
    head, writes = subjects.checkpoint(*place), subjects.checkpoint_writes(*place, task, "-3")
    assert subjects.checkpoint_address(head) == subjects.CheckpointAddress(*place)
    assert subjects.checkpoint_address(writes) == subjects.CheckpointAddress(*place, task, "-3")
    for subject in (head, writes):
        assert not set(subject) & set(" *>\t\r\n")
        assert subject.startswith(subjects.checkpoint_all(*place).removesuffix(">"))
        assert subjects.checkpoint_address(subjects.checkpoint_part(subject, "ab12", 0)) is None


def test_ordinary_ids_stay_readable():
    assert subjects.checkpoint("default.t1", "", "c-1") == "aos_checkpoint.default=2Et1.=.c-1.c"
