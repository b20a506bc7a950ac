"""Who can do a goal: first who may (``eligibility``), then who is near (the skill index), then in which order.

``matcher`` is asked by the planner once for each goal of a task, by explain and by search. ``ranking`` is where the
learned ranker slots in.
"""
