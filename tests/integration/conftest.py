"""What several integration tests begin with."""

import pytest

from evolution.tiers.cold_files import ColdFiles
from schemas import subjects


@pytest.fixture
def cold(tmp_path):
    """A cold tier in a folder of its own."""
    return ColdFiles((tmp_path / "objects").as_uri())


@pytest.fixture
async def bucket(js):
    """Where tasks' records lie."""
    return await js.key_value(subjects.BUCKET_TASKS)


@pytest.fixture
async def queue(nc, js):
    """The work queue, read as by one lane of a worker."""
    from journey_bench import Queue  # lazy: only tests of the journey pay for its imports

    return await Queue.open(nc, js)
