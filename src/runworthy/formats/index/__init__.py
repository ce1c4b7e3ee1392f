"""Package indexes: what distributions say of the packages that can be had, and of those that are installed."""
