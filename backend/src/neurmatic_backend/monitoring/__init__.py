"""Monitoring: how the platform says of itself that it is well."""
