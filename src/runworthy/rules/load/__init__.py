"""Rules on what the dynamic loader does not find, or does not take."""
