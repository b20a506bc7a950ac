"""Where experience is kept: one port (`evolution.ports.ExperienceStore`), an adapter for each kind of storage.

``sqlite_store``  the embedded default: one file, safe after power loss, readable by other processes
``influx_store``  InfluxDB 2, a bucket for each tenant
``…_spoken``      of which tasks people said something since the last question, in either
``latest``        what this process stored last: whoever follows the embedded store gets it without reading
``memory_store``  nothing on disk: tests, dry runs
``group_commit``  what the durable ones share: concurrent writes become one
"""
