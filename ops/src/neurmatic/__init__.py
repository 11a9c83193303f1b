"""Production infrastructure that proves itself: one stack file, one command, every claim an executed check."""

__version__ = "0.1.0"
