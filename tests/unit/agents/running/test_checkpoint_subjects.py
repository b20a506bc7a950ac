"""Any id can stand in a checkpoint's subject, and comes back out of it."""

from hypothesis import given
from hypothesis import strategies as st

from schemas import checkpoint_subjects

ANY = st.text(st.characters(codec="utf-8"), max_size=40)


@given(thread=ANY, namespace=ANY, checkpoint=ANY, task=ANY)
def test_what_goes_into_a_subject_comes_out(thread, namespace, checkpoint, task):
    place = thread, namespace, checkpoint
    head, writes = checkpoint_subjects.checkpoint(*place), checkpoint_subjects.writes(*place, task, "-3")
    assert checkpoint_subjects.address(head) == checkpoint_subjects.CheckpointAddress(*place)
    assert checkpoint_subjects.address(writes) == checkpoint_subjects.CheckpointAddress(*place, task, "-3")
    for subject in (head, writes):
        assert not set(subject) & set(" *>\t\r\n")
        assert subject.startswith(checkpoint_subjects.of_checkpoint(*place).removesuffix(">"))
        assert checkpoint_subjects.address(checkpoint_subjects.part(subject, "ab12", 0)) is None


def test_ordinary_ids_stay_readable():
    assert checkpoint_subjects.checkpoint("default.t1", "", "c-1") == "aos_checkpoint.default=2Et1.=.c-1.c"
