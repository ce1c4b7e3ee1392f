"""Environments searched for files that are stored again, and told why."""
