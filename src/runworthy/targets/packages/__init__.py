"""Which packages of a target's distribution bring what is missing, and what else they bring along."""
