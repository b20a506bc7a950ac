"""Replay as the gateway composes it: what the evolution layer asks, answered by agents' code and by the bus.

``choices``   how a policy version chooses among a record's candidates, by the ranker that workers use
``story``     one task, step by step, from its events and its experience
``lane``      one network done again by the runner of workers, apart from everything
``recorded``  tasks done again with recorded answers
``shadow``    tasks done again by live agents that have no effects, with what ``asked`` still knows of them

``comparands`` are the policies that a person may name, ``differing`` says how two tasks differ.
"""
