"""Targets that come through a pipe: a tar archive of a root, or what the collector tells of a machine."""
