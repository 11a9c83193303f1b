import pytest

from neurmatic.probes.ledger import Entry, Ledger, Lost, longest_gap, percentile, summarize


def answered(due, seconds, status=200, **more):
    return Entry(due, due, due, due + seconds, status=status, **more)


def lost(due, seconds, why):
    return Entry(due, due, None, due + seconds, lost=why, detail=f"because it was {why}")


def ledger(*entries, rate=10, seconds=1.0, planned=None, expect=frozenset()):
    return Ledger(rate, seconds, planned or len(entries), entries, expect=expect)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, None),
        ([7], 0.5, 7),
        ([7], 0.99, 7),
        ([1, 2], 0.5, 1),
        ([1, 2, 3, 4], 0.5, 2),
        (range(1, 101), 0.5, 50),
        (range(1, 101), 0.9, 90),
        (range(1, 101), 0.99, 99),
        (range(1, 101), 1.0, 100),
        (range(1, 1001), 0.99, 990),
        ([1] * 99 + [50], 0.99, 1),
        ([1] * 98 + [50, 60], 0.99, 50),
    ],
)
def test_a_percentile_is_a_measured_value(values, share, expected):
    assert percentile(values, share) == expected


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], 1.0),
        ([answered(0, 0.1)], 0.9),  # until the end
        ([answered(0.8, 0.1)], 0.9),  # from the beginning
        ([answered(0, 0.1), answered(0.5, 0.1), answered(0.9, 0.1)], 0.5),
        (
            [answered(0, 0.1), answered(0.1, 0.1, 502), answered(0.5, 0.1), answered(0.9, 0.1)],
            0.5,
        ),  # a bad answer fills none
        ([answered(0, 0.1), lost(0.1, 0.2, Lost.REFUSED), answered(0.7, 0.1), answered(0.9, 0.1)], 0.7),
        ([answered(0, 0.9), answered(0.1, 0.8), answered(0.2, 0.7)], 0.9),  # all at once after a pause
        ([answered(0, 0.1), answered(0.9, 2.0)], 2.8),  # beyond the due time
    ],
)
def test_the_longest_gap_without_a_good_answer(entries, expected):
    assert longest_gap(ledger(*entries)) == pytest.approx(expected)


def test_a_summary_accounts_for_everything():
    entries = [answered(n / 10, 0.01, label=f"api-{n % 2}", size=5) for n in range(6)]
    entries += [answered(0.6, 0.02, 503, label="api-1"), lost(0.7, 0, Lost.REFUSED), lost(0.8, 0.1, Lost.CUT)]
    entries += [lost(0.9, 2.0, Lost.TIMED_OUT)]
    got = summarize(ledger(*entries))
    assert (got.due, got.good, got.answered) == (10, 6, {"2xx": 6, "5xx": 1})
    assert got.lost == {"cut": 1, "refused": 1, "timed_out": 1}
    assert got.words["cut"] == "because it was cut"
    assert sum(got.answered.values()) + sum(got.lost.values()) == got.due
    assert got.latency_ms == {"p50": 10, "p90": 2000, "p99": 2000, "max": 2000}  # who waited in vain waited, too
    assert got.labels == {"api-0": 3, "api-1": 4}
    assert got.achieved_rate == 7 and got.bytes == 30
    assert not got.ok and not got.stopped


def test_a_summary_of_nothing_and_of_nothing_but_losses():
    assert summarize(ledger()).latency_ms["p50"] is None
    got = summarize(ledger(lost(0, 0, Lost.REFUSED)))
    assert got.latency_ms["max"] is None and got.achieved_rate == 0 and not got.ok


@pytest.mark.parametrize(
    ("status", "expect", "good"),
    [
        (200, (), True),
        (304, (), True),
        (404, (), False),
        (500, (), False),
        (404, (404,), True),
        (200, (404,), False),
        (200, (200, 201), True),
    ],
)
def test_what_a_good_answer_is(status, expect, good):
    one = ledger(answered(0, 0.1, status), expect=frozenset(expect))
    assert summarize(one).ok is good and bool(one.failed) is not good and one.answered == 1


def test_the_clients_own_delay_counts_from_the_due_moment():
    got = summarize(ledger(Entry(due=0.1, begun=0.35, sent=0.36, ended=0.4, status=200)))
    assert got.client_delay_ms == 250 and got.latency_ms["max"] == 300


def test_a_stopped_load_says_so():
    assert summarize(ledger(answered(0, 0.1), planned=10, seconds=0.05)).stopped


def test_rows_are_json_and_name_the_moment():
    rows = ledger(answered(0.5, 0.1), lost(1.0, 0.1, Lost.TLS)).rows()
    assert rows[0]["at"] == "1970-01-01T00:00:00.500+00:00" and rows[0]["status"] == 200 and rows[0]["good"]
    assert rows[1]["lost"] == "tls" and rows[1]["status"] is None and rows[1]["sent"] is None and not rows[1]["good"]
