"""The records that installers leave in environments: who installed which file, and how."""
