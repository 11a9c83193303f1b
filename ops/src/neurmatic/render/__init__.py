"""Stack to files: pure functions from what should run to the text of every file that a runtime uses."""
