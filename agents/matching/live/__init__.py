"""Ranking that learns from the gateway's own outcomes while it runs: one model shared by all agents of a tenant.

``past`` remembers tasks with their outcomes and says what they are ``evidence`` of, ``groups`` how each agent did in
groups of them, ``own_steps`` what an agent's own steps say of it, ``standings`` what became of them; ``features`` lays
out what speaks for each candidate; ``weighing`` turns that into a chance of success and learns its weights;
``exploring`` says who is tried and how likely.
``policy`` is the whole, ``snapshots`` its file, ``ranker`` its ports.Ranker, and ``feed`` keeps a worker's policies
current. ``foresight`` and ``runs`` make questions about many tasks cheap. The learner itself runs in the evolution
role: see ``gateway.learning``.
"""
