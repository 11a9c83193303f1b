"""How it runs: start, stop and inspect instances, whatever stands below."""
