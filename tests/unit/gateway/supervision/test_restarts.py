"""After an exit: back off, and give up on crash loops."""

from gateway.supervision.restarts import GiveUp, Restart, RestartPolicy, after_exit

POLICY = RestartPolicy(backoff_s=0.5, backoff_max_s=3.0, crash_limit=5, window_s=10.0)


def test_a_first_crash_is_restarted_soon():
    assert after_exit(POLICY, [100.0], 100.0) == Restart(0.5)


def test_the_wait_doubles_with_each_crash_and_is_bounded():
    moments = [100.0, 101.0, 102.0, 103.0]
    waits = [after_exit(POLICY, moments[:count], 103.0) for count in (1, 2, 3, 4)]
    assert waits == [Restart(0.5), Restart(1.0), Restart(2.0), Restart(3.0)]


def test_a_crash_loop_is_given_up():
    assert after_exit(POLICY, [100.0, 101.0, 102.0, 103.0, 104.0], 104.0) == GiveUp(5)


def test_crashes_of_long_ago_are_forgiven():
    assert after_exit(POLICY, [1.0, 2.0, 3.0, 4.0, 104.0], 104.0) == Restart(0.5)
