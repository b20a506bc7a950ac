"""Checkpoints behind ``ports.Model``: open_clip, Whisper, Wav2Vec2, sentence-transformers. Chosen by ``encoders``.

A constructor reads what is needed for the card and says at once what is missing; weights are read by the first
``encode``. Each is named by a local path, an installed package or a hub name: see ``checkpoints``.
"""
