"""What a machine's file systems hold: stored files, those with equal bytes, and where links are possible."""
