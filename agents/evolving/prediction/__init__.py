"""Which agents a task will need, and who hands over to whom, learned from graphs that worked before.

``texts`` says how alike tasks are -> ``regressions`` what that says of agents, links and orders -> ``candidates`` who
may belong to a task's network, and what is said of them -> ``members`` how likely each does -> ``handovers`` how likely
one feeds another, ``reconsidered`` beside the task's other pairs -> ``graphs`` puts them together, with thresholds
found on folds held out of training. ``past`` is what a past network looks like, ``passages`` where words speak of whom,
as ``readers`` learn it by ``dual`` regression or ``alignment``; ``precedence`` who is first of two that both take part,
``cards`` what agents say of themselves, ``boosting`` the learner of the second stages. Where past tasks are too few to
learn from, ``sketched`` serves. All tasks times all agents are gigabytes: ``blocks`` says how many tasks are looked at
together. Called by ``evaluation.graph_bench``. Arrays in, arrays out.
"""
