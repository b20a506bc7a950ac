"""What several integration tests begin with."""

import pytest

from evolution.tiers.cold_files import ColdFiles


@pytest.fixture
def cold(tmp_path):
    """A cold tier in a folder of its own."""
    return ColdFiles((tmp_path / "objects").as_uri())
