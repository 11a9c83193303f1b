"""Containers: an engine starts, restarts and limits each instance; the tool tells it which."""
