"""From a perceived task to a validated plan.

Before it: perception typed the parts and made the task vector. After it: `running` compiles the network and runs it.
Read in the order of the story: ``complexity`` (which goals, in which order) -> ``planner`` (asks the matcher for each
goal) -> ``thrift`` (within the budget) -> ``greedy`` (chooses and wires, with ``bridge`` for missing conversions and
``typecheck`` for every edge) -> ``estimate`` (order, critical path, time, cost, approvals) and ``promise`` (chance of
success), both from ``past`` -> ``substitutes`` (who stands in). ``drawing`` shows a network to people. Known kinds of
task skip most of this: see `evolving.live`.
"""
