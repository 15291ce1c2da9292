"""Benchmarks: each prints its figures with the limits of the machine measured in the same run."""
