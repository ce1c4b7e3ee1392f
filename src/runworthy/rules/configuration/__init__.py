"""RW6xx: configuration: what a project has written down, and what has become of it."""
