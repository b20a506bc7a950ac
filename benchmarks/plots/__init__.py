"""Plots of what `benchmarks/results` holds, for the documentation: `make plots` redraws them without any data set."""
