"""The work of the commands, and what is imported before it: interrupts and phases."""
