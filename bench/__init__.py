"""Benchmarks of the budgets: every figure is a ratio of two commands measured in one run."""
