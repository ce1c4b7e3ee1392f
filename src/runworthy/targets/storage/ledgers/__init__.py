"""Whose a file is by the records of one environment, each kind of which keeps them in its own way."""
