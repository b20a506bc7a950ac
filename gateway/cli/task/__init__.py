"""`aos task` and `aos explain`: submit a task and follow it, or ask who would be chosen.

``command``    the group `aos task`
``explain``    `aos explain`
``options``    the options that both share
``following``  sends a task and follows it to its end
``bus_door``   publishes a task straight to NATS
``progress``   a task's events as live progress
``plan``       a plan's promise as a line
"""
