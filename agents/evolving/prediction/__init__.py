"""Which agents a task will need, and who hands over to whom, learned from graphs that worked before.

``texts`` says how alike tasks are -> ``regressions`` what that says of agents, links and orders -> ``members`` how
likely each agent belongs to a task's network -> ``handovers`` how likely one feeds another, ``reconsidered`` beside the
task's other pairs -> ``graphs`` puts them together, with thresholds found on folds held out of training. ``past`` is
what a past network looks like, ``passages`` where the words speak of whom, as ``readers`` learn it, one of them by
``alignment``; ``precedence`` who is first of two that both take part, ``cards`` what agents say of themselves,
``boosting`` the learner of the second stages. Where past tasks are too few to learn from, ``sketched`` serves. Called
by ``evaluation.graph_bench``. Arrays in, arrays out.
"""
