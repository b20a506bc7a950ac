"""Measures the stream processor on real content: what ``aos bench tensor`` and ``benchmarks/tensors.py`` print.

Speeds are MB (10**6 bytes) of tensor per CPU-second of one thread, not of wall time: machines are shared.
"""
