"""Kubernetes clusters for tests, benchmarks and the demo: made here, borrowed, or kind's.

`python -m dev.cluster up` makes one; README.md beside this file says what it can do.
"""
