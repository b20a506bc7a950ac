"""A variable that is nearly a setting's is told; what others may mean by theirs is left alone."""

import pytest

from gateway.settings.loading import fields, variables
from gateway.settings.misspelt import misspelt


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("AOS_NATS_ULR", "AOS_NATS_URL"),
        ("AOS_DATADIR", "AOS_DATA_DIR"),
        ("AOS_LOGLEVEL", "AOS_LOG_LEVEL"),
        ("AOS_QDRANT_KEY", "AOS_QDRANT_API_KEY"),
        ("AOS_CONFIG_", "AOS_CONFIG"),
        ("AOS_AGENTS_WORKERS", "AOS_AGENTS__WORKERS"),
    ],
)
def test_the_name_that_was_meant_is_told(name, meant):
    assert misspelt({name: "x", "PATH": "/bin"}) == {name: meant}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AOS_AGENT_ID", "echo"),
        ("AOS_EFFECTS_FILE", "/tmp/effects"),
        ("AOS_INFLUX_PASSWORD", "secret"),
        ("AOS_API_KEY", "of an agent of ours"),
        ("AOS_VERSION", "3"),
        ("AOS_NATS_ULR", ""),
        ("AOS_GATEWAY_PORT", "tcp://10.0.0.7:8080"),
        ("AOS_GATEWAY_SERVICE_HOST", "10.0.0.7"),
        ("AOS_HTTP_SERVICE_PORT", "80"),
        ("NATS_URL", "nats://here"),
    ],
)
def test_nothing_is_said_of_what_others_mean(name, value):
    assert misspelt({name: value}) == {}


def test_no_setting_is_taken_for_a_mistake():
    assert misspelt({name: "x" for where, info in fields() for name in variables(where, info)}) == {}
