"""Texts, pictures and sounds become vectors.

From the caller inwards: ``cache`` (texts) or ``parts`` (pictures and sounds: found, then decoded by ``pictures`` and
``sounds``) → ``batching``, one queue per device → a model: ``minilm`` over ``bert``, the shipped towers, or one of the
checkpoints of ``models``; ``tensor_layer.encoders`` says which. ``remote`` asks another process. ``versions``: what may
be compared.

Before it: perception and the perception service. After it: nothing; this is where torch lives. Importing this package
imports no torch: the first content that is not in a cache does.
"""
