"""Servers for the load tool's tests, ended with the test."""

import socket

import pytest
from loadable import Server


@pytest.fixture
def serve():
    servers = []

    def start(talk, tls=None):
        servers.append(Server(talk, tls))
        return servers[-1]

    yield start
    for one in servers:
        one.die()


@pytest.fixture
def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
