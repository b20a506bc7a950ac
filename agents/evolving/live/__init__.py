"""Networks that evolve while the gateway runs: the plan of each kind of task, and the search that betters it.

Before it: `planning` weaves a greedy network for a task nobody has seen. In the order of the story: ``shape`` (what
tasks of a kind share exactly) -> ``kinds`` (which kind a task is of) -> ``binding`` (a kind's network, put to work on
this task) -> ``planner`` (a known kind at once, else greedy) -> ``brief`` (what a search needs) -> ``background`` (asks
for better, validates, replaces) -> ``book`` (templates in the ``aos_plans`` bucket). On the other side of the bus:
``service`` -> ``refiner`` (the genetic search) with ``task_quality`` (what it maximises). ``feed`` keeps the past.
"""
