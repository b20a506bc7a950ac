"""`aos demo`: the main job on real input, told as it happens.

``command``  what the command line calls
``script``   which tasks, from examples/tasks.yaml
``staging``  the agents of the demo, in a folder of their own
``show``     the whole demo: start, submit, follow, crash, report, stop
``crash``    kills a worker between two steps of one task
``report``   what each task went through, for people
"""
