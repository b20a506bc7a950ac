"""Texts become vectors. From the caller inwards: ``cache`` → ``batching`` → ``minilm`` → ``bert``.

Before it: perception and the perception service. After it: nothing; this is where torch lives. Importing this package
imports no torch: the first text that is not in the cache does.
"""
