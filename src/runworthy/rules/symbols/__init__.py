"""Rules on symbol versions, symbols and relocations."""
