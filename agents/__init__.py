"""The self-organising layer: takes a task from the work queue and brings it to its end.

Before it: a door published a `TaskSubmitted`. After it: the result is stored, told, and left as experience.
Follow one task: ``dispatch`` -> ``journey`` -> ``matching`` -> ``planning`` -> ``running`` -> ``settlement``.
"""
