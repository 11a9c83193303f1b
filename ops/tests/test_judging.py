"""Which failed requests speak against a new release: real loads, whose server is told what to answer."""

import asyncio
import time

import pytest
from loadable import OK

from neurmatic.probes.load import Load
from neurmatic.releases.measure import Measurement

WELL, ILL = OK, b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


class Told:
    """A server that answers well until it is told otherwise; 100 requests a second are sent to it."""

    def __init__(self, serve):
        self.answer, self.wait = WELL, 0.0
        self.server = serve(self.talk)

    async def talk(self, server, reader, writer):
        while True:
            await server.request(reader)
            answer = self.answer
            await asyncio.sleep(self.wait)
            writer.write(answer)

    @property
    def load(self):
        return Load(self.server.url, rate=100, seconds=60, timeout=2)


@pytest.fixture
def told(serve):
    return Told(serve)


def until(holds):
    for _ in range(1000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to that")


def test_where_none_had_failed_every_failure_counts(told):
    with Measurement([told.load]) as load:
        until(lambda: load.moment().progress[told.server.url].good > 5)
        switched = load.moment()
        told.answer = ILL
        until(lambda: len(load.failed_since(switched)) > 5)
        assert list(switched.sentences()) == []


def test_a_failure_before_does_not_excuse_those_after(told):
    with Measurement([told.load]) as load:
        until(lambda: load.moment().progress[told.server.url].good > 5)
        told.answer = ILL
        until(lambda: load.moment().failed > 2)
        told.answer = WELL
        load.settle()
        switched = load.moment()
        assert switched.failed and "judged by themselves" in next(switched.sentences())
        until(lambda: load.moment().progress[told.server.url].good > switched.progress[told.server.url].good + 20)
        assert load.failed_since(switched) == []
        told.answer = ILL
        until(lambda: len(load.failed_since(switched)) > 2)


def test_what_was_in_flight_to_a_failing_release_is_not_the_next_ones_doing(told):
    with Measurement([told.load]) as load:
        until(lambda: load.moment().progress[told.server.url].good > 5)
        told.answer, told.wait = ILL, 0.5
        until(lambda: load.moment().failed > 2)
        told.answer, told.wait = WELL, 0.0
        switched = load.moment()
        load.settle()
        assert load.moment().failed > switched.failed
        assert load.failed_since(switched) == []


def test_an_address_that_was_never_well_says_nothing(told, serve):
    blind = Told(serve)
    blind.answer = ILL
    with Measurement([told.load, blind.load]) as load:
        until(lambda: load.moment().progress[told.server.url].good > 5 and load.moment().failed > 5)
        switched = load.moment()
        assert "it is not judged" in next(switched.sentences())
        until(lambda: load.moment().failed > switched.failed + 5)
        assert load.failed_since(switched) == []
        told.answer = ILL
        until(lambda: len(load.failed_since(switched)) > 2)
