"""Handlers of binfmt_misc as they are written: to the kernel, by the kernel, and in files that are read at boot."""
