"""Pure functions from facts and a target to a trace: what the real kernel and the real loaders would do."""
