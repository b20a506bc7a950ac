"""Which policy routes, who changed it and why: versions with their lineage, and the guards before a change.

``bucket``    versions and states in their key-value bucket, compare-and-set
``changes``   what a promotion, a rollback or a freeze makes of a state: pure functions
``guards``    what speaks against a promotion: size, window, exploration, worse than what is there
``diff``      what one version says differently from another
``registry``  the use case: what people and the experiment loop call
``trial``     the running experiment: its stages, its tallies and what follows from them; ``trial_spans`` its shares,
              ``trial_count`` what its tasks came to, ``trial_judged`` what people said of them, ``trial_memory`` what
              earlier looks counted
``pruning``   which old versions make room, and ``parts`` what they leave in the object store
``telling``   what states and changes say in words
``loop``      asks that again and again in the evolution role, and goes back to the ``prior`` when learning harms
"""
