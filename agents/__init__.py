"""The self-organising layer: takes a task from the work queue and brings it to its end.

Before it: a door published a `TaskSubmitted`. After it: the result is stored, told, and left as experience.
Follow one task: ``journey`` takes it (``lanes`` -> ``dispatch`` -> ``travel``) -> ``planning``, which asks ``matching``
-> ``running`` -> ``journey.settlement``. What these ask of each other stands in ``ports``.
"""
