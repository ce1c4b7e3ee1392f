"""Bytes to facts: the only readers of untrusted bytes. Formats know no target."""
