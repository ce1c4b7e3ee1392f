"""Storage: why the same bytes are stored again, and what sharing them gives. Pure, as the simulators are."""
