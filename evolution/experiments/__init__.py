"""Two policies share traffic, and evidence decides between them.

Which arm a task belongs to is a hash that routing uses too, so that every process agrees without asking: see
``schemas.assignment``.

``tallies``     what is remembered of each arm: counts, means and variances, by stage of the canary
``evidence``    how much better treatment does, known at every look: exact for outcomes in [0, 1]
``sequential``  the same for other metrics, and for the split of the traffic
``deciding``    wait, widen the canary, promote, roll back or ask a person: pure functions of the tallies
"""
