"""Where it runs: the one door through which commands, files and signals reach a machine."""
