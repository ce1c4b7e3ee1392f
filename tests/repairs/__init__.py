"""Broken pairs of a subject and a root, what is proposed for them, and what really becomes of it."""
