"""Two policies share traffic, and evidence decides between them.

``assignment``  which arm a task belongs to: a hash, so that every process agrees without asking
``tallies``     what is remembered of each arm: counts, means and variances, by stage of the canary
``sequential``  tests that stay valid however often one looks
``deciding``    wait, widen the canary, promote, roll back or ask a person: pure functions of the tallies
"""
