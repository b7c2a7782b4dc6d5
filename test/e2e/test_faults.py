# SPDX-License-Identifier: MIT
"""Crowds and restarts: what happens to everybody else."""
import resource
import socket

from harness import audit
from harness.load import EchoBackend, Talker, in_batches
from harness.wait import SLOW, rss_bytes, until

SILENT = 10000 if SLOW == 1 else 2000
TALKERS = 100


def enough_descriptors(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(count, soft), hard), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= count


def test_a_silent_crowd_disturbs_nobody(start, loop, echo, context):
    """10,000 connections that never speak beside 100 that do: every talker is served while the crowd stands there, and a
    new one gets in."""
    silent = SILENT if enough_descriptors(SILENT + 1000) else 3000
    proxy = start(echo.address, config={"limits": {"connections-per-address": 50000}, "timeouts": {"negotiation": "10m"}})
    talkers = [Talker(proxy.port, context) for _ in range(TALKERS)]
    started = loop.run(in_batches([t.start() for t in talkers]), 120 * SLOW)
    assert [r for r in started if isinstance(r, BaseException)] == []
    before = sum(rss_bytes(pid) for pid in proxy.worker_pids())
    crowd = []
    try:
        for _ in range(silent):
            crowd.append(socket.create_connection(("127.0.0.1", proxy.port), timeout=20))
        until(lambda: proxy.counter("accepted") >= silent + TALKERS, "the crowd to be taken in", 60 * SLOW)
        for number in range(10):
            answers = loop.run(in_batches([t.echo(number) for t in talkers], TALKERS), 60 * SLOW)
            assert answers == [True] * TALKERS
        late = Talker(proxy.port, context)
        loop.run(late.start(), 20 * SLOW)
        loop.run(late.echo(1), 20 * SLOW)
        grown = sum(rss_bytes(pid) for pid in proxy.worker_pids()) - before
        assert SLOW > 1 or grown / silent < 4096, f"{grown / silent:.0f} bytes for each that never spoke"
    finally:
        for sock in crowd:
            sock.close()
    for talker in talkers + [late]:
        loop.run(talker.finish(), 20 * SLOW)
    until(lambda: proxy.counter("closed") >= silent + TALKERS + 1, "everybody to be gone", 60 * SLOW)
    records = proxy.stop(timeout=120 * SLOW)
    closed = audit.of(records, "stream-closed")
    assert len(closed) == silent + TALKERS + 1
    assert len({r["xmpp"]["stream"] for r in closed}) == len(closed)


def test_backend_restarted_under_two_hundred_sessions(start, loop, context):
    """All of them end, each with its record; the next ones find the new backend."""
    first = EchoBackend(loop)
    port = first.port
    proxy = start(first.address)
    talkers = [Talker(proxy.port, context) for _ in range(200)]
    started = loop.run(in_batches([t.start() for t in talkers]), 120 * SLOW)
    assert [r for r in started if isinstance(r, BaseException)] == []
    first.restart_abruptly()
    ended = loop.run(in_batches([t.ended() for t in talkers], 200), 60 * SLOW)
    assert ended == [True] * 200
    proxy.wait_records("stream-closed", 200, 30 * SLOW)
    refused = Talker(proxy.port, context)
    text = loop.run(refused.refused(), 20 * SLOW)
    assert b"<internal-server-error" in text
    second = EchoBackend(loop, port)
    again = Talker(proxy.port, context)
    loop.run(again.start(), 20 * SLOW)
    assert loop.run(again.echo(1), 20 * SLOW)
    loop.run(again.finish(), 20 * SLOW)
    second.close()
    closed = audit.of(proxy.stop(), "stream-closed")
    codes = [r["event"]["code"] for r in closed]
    assert len(closed) == 202 and codes.count("backend-closed") == 200 and codes.count("backend-down") == 1
