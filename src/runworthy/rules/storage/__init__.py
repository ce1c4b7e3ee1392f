"""RW8xx: the same bytes stored again, and libraries that stand in an environment more than once."""
