"""Rules on what the code asks of the machine: instructions, pages, kernel, stack."""
