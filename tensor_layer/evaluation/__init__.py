"""Measures the serving of encoders on this machine. Called by ``aos bench perceive``."""
