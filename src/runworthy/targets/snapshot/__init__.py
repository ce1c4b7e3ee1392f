"""Captured targets: one portable file that holds what loaders and the kernel would look at in a root."""
