"""RW5xx: packaging: archives, wheels, layouts that choose among builds, releases."""
