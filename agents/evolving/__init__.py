"""Networks that evolve: from a fleet, a task and a quality predictor to the best network that can be found in time.

Before it: `planning` wove a greedy network. After it: `running` runs whatever network won. Read in the order of the
story: ``space`` (the fleet as arrays, its kinds of content in ``lanes``) -> ``genome`` (a whole population as two
arrays, and their repair) -> ``quality`` and ``objectives`` (what a network is worth to this tenant) -> ``variation``
and ``survival`` (one generation) -> ``changes`` and ``neighbourhood`` (climbing) ->
``genetic`` (the search, with DEAP's toolbox, hall of fame and statistics). ``policy_gradient``, ``exhaustive``,
``greedy_search`` and ``random_search`` are other searches behind the same port (``searching``). ``decoding`` turns
genomes into networks and back, ``archive`` remembers past winners. ``evaluation`` measures all of it. Numpy on arrays:
no bus, no clock, no files; those are in ``live``, which brings the search into the running gateway. ``prediction`` of
whole graphs from past ones stands beside all that.
"""
