"""What should run: the sections of the stack file, frozen and validated. Pure."""
