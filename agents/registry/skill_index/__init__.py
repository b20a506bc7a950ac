"""Where skills are found by meaning and by words: one port (``agents.ports.skill_index``), two engines.

``edge``    Qdrant's own engine in this process      ``client``  a Qdrant server, shared by all workers
``points``  how a skill lies in either, and hits put together
``words``   its words as a sparse vector
``filters`` what a filter comes down to
``asking``  one search, and when its answer is enough

Of ``client``: ``requests``, filters and searches as qdrant-client takes them.

Of ``edge``: ``home`` is its folder, with the ``log`` of every agent's points and a ``shard`` of the engine made of it.
``readers`` says who reads which shard; ``effort`` how one search goes about a large index, by ``scan`` or by its graph;
``growth`` when a new graph is due, and ``graph`` is the process that builds it.
"""
