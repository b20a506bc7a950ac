"""Replay as the gateway composes it: what the evolution layer asks, answered by agents' code and by the bus.

``choices``  how a policy version chooses among a record's candidates, by the ranker that workers use
``story``    one task, step by step, from its events and its experience
``shadow``   tasks done again by live agents that have no effects
"""
