"""The guard: asks every instance whether it is ready, and keeps nginx's lists of those that get requests.

A program of its own that needs Python alone: it is copied beside nginx's configuration and runs under the stack's
account, so that it goes on when the tool is deleted. nginx needs none of it: without the guard it still leads requests
around an instance that refuses connections.
"""
