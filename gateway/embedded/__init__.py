"""The embedded default: real servers as child processes, so that `aos up` needs nothing installed."""
