"""Rules on what the kernel refuses: architecture, program interpreter, files that are no programs."""
