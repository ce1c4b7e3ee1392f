"""The handlers of binfmt_misc that a target has."""
