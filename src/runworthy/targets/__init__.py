"""Targets: roots (this host, a directory, the catalogue, an overlay of edits over any of them) and machines."""
