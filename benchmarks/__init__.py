"""Benchmarks: each prints its table and, with --write, puts it into docs/performance.md beside the command."""
