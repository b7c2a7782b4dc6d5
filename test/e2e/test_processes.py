# SPDX-License-Identifier: MIT
"""Master, keeper and workers: starting, being killed, draining, privileges."""
import os
import re
import signal
import socket
import subprocess
import time

import pytest
from harness import audit, wire
from harness.client import Client
from harness.load import Talker, in_batches
from harness.wait import PATIENCE, SLOW, alive, cpu_seconds, status_field, until


def keeper_pid(proxy):
    return proxy.status()["keeper"]["pid"]


def test_ready_and_clean_stop(start, backend):
    proxy = start(backend.address)
    assert len([line for line in proxy.log if re.search(r"\bready$", line)]) == 1
    Client(proxy.port).open()
    records = proxy.stop()
    assert [r["event"]["action"] for r in records][0] == "proxy-started"
    assert [r["event"]["action"] for r in records][-1] == "proxy-stopped"
    assert not os.path.exists(proxy.socket), "the control socket stays behind"


def test_systemd_is_told(start, backend, tmp_path):
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.settimeout(PATIENCE)
    notify.bind(str(tmp_path / "notify"))
    os.chmod(tmp_path, 0o755)
    os.chmod(tmp_path / "notify", 0o666)
    proxy = start(backend.address, env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    said = notify.recv(4096).decode()
    while "READY=1" not in said:
        said += "\n" + notify.recv(4096).decode()
    proxy.stop()
    while "STOPPING=1" not in said:
        said += "\n" + notify.recv(4096).decode()
    notify.close()


def test_drain(start, backend, establish):
    """NEG-35: open streams go on for timeouts.drain, then both sides read system-shutdown; new ones are not taken."""
    proxy = start(backend.address, config={"timeouts": {"drain": "2s"}})
    client, server = establish(proxy)
    begin = time.monotonic()
    proxy.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    client.send(b"<presence/>")
    assert server.wait_for(b"<presence/>") == b"<presence/>"

    def not_taken():
        try:
            with Client(proxy.port) as late:
                late.send(wire.header())
                return late.receive(0.2) == b""
        except TimeoutError:
            return True
        except OSError:
            return True
    assert not_taken()
    data, how = client.to_end()
    assert 1.5 < time.monotonic() - begin < 3 + 2 * SLOW
    assert re.fullmatch(wire.error_pattern("system-shutdown"), data) and how == "fin", data
    server.wait_end()
    assert re.fullmatch(b"<presence/>" + wire.error_pattern("system-shutdown"), server.received), server.received
    proxy.process.wait(10 * SLOW)  # a second signal would end it at once
    closed, = audit.of(proxy.stop(), "stream-closed", event__code="shutdown")
    assert closed["xmpp"]["error"] == "system-shutdown"


def test_stop_without_streams_does_not_wait(start, backend):
    proxy = start(backend.address, config={"timeouts": {"drain": "30s"}})
    begin = time.monotonic()
    proxy.stop()
    assert time.monotonic() - begin < 3 * SLOW


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop privileges")
def test_privileges(start, backend):
    proxy = start(backend.address)
    import pwd
    nobody = pwd.getpwnam("nobody")
    for pid in proxy.worker_pids() + [keeper_pid(proxy)]:
        assert set(status_field(pid, "Uid")) == {str(nobody.pw_uid)}
        assert set(status_field(pid, "Gid")) == {str(nobody.pw_gid)}
        assert status_field(pid, "Groups") in ([], [str(nobody.pw_gid)])
        assert status_field(pid, "NoNewPrivs") == ["1"]
        for capabilities in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            assert int(status_field(pid, capabilities)[0], 16) == 0
    assert set(status_field(proxy.process.pid, "Uid")) == {"0"}
    assert os.stat(proxy.socket).st_mode & 0o777 == 0o600
    assert os.stat(proxy.audit_file).st_mode & 0o007 == 0


def test_worker_killed_under_load(start, loop, echo, context):
    """Only its own streams are lost; the others and new ones work; the restarted worker takes its share."""
    proxy = start(echo.address)
    talkers = [Talker(proxy.port, context) for _ in range(60)]
    started = loop.run(in_batches([t.start() for t in talkers], 30))
    assert not [s for s in started if isinstance(s, BaseException)], started[:3]
    workers = {w["pid"]: w["open"] for w in proxy.status()["workers"]}
    assert sum(workers.values()) == 60 and min(workers.values()) > 0, workers
    victim = min(workers)

    async def talk_on(talker):
        for number in range(400):
            await talker.echo(number)
        return True
    talking = loop.begin(in_batches([talk_on(t) for t in talkers], 60))
    time.sleep(0.2)
    os.kill(victim, signal.SIGKILL)
    outcome = talking.result(PATIENCE * 12)
    survived = [t for t, o in zip(talkers, outcome) if o is True]
    assert len(survived) == 60 - workers[victim], [o for o in outcome if o is not True][:3]
    until(lambda: victim not in proxy.worker_pids() and all(p and alive(p) for p in proxy.worker_pids()), "a new worker")
    assert proxy.wait_log(r"worker.*(kill|signal|SIGKILL)")
    fresh = [Talker(proxy.port, context) for _ in range(20)]
    started = loop.run(in_batches([t.start() for t in fresh], 20))
    assert not [s for s in started if isinstance(s, BaseException)], started[:3]
    status = proxy.status()
    assert sum(w["open"] for w in status["workers"]) == len(survived) + 20, status
    assert min(w["open"] for w in status["workers"]) > 0, "the new worker gets nothing"
    assert all(a is True for a in loop.run(in_batches([t.echo(1) for t in survived + fresh], 60)))
    loop.run(in_batches([t.finish() for t in survived + fresh], 60))
    records = proxy.stop()
    assert len(audit.of(records, "stream-established")) == 80
    assert len(audit.of(records, "stream-closed")) == len(survived) + 20


def come_and_go(loop, proxy, context, count, width):
    """Clients that log in, say something and leave; a future of their outcomes."""
    async def one():
        talker = Talker(proxy.port, context)
        await talker.start()
        await talker.echo(0)
        await talker.finish()
        return True
    return loop.begin(in_batches([one() for _ in range(count)], width))


def kill_keeper(proxy):
    pid = keeper_pid(proxy)
    os.kill(pid, signal.SIGKILL)
    until(lambda: keeper_pid(proxy) not in (0, pid), "a new keeper")


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(child) for child in file.read().split()]
    except FileNotFoundError:
        return []


def launch_held(start, pki, backend, tries=20):
    """A proxy that is still starting: one of its workers was stopped before it could say that it is ready, busy with the
    certificates of many domains. Its keeper and that worker."""
    pki.issue("many.test", san="DNS:*.many.test")
    more = [f"d{n}.many.test" for n in range(200)]
    for _ in range(tries):
        proxy = start(backend.address, run=False, domains=("im.test", *more), certificate=dict.fromkeys(more, "many.test"))
        proxy.launch()
        while len(children_of(proxy.process.pid)) < 2:  # without a pause: it is a matter of milliseconds
            assert proxy.process.poll() is None, proxy.log
        keeper, worker = children_of(proxy.process.pid)[:2]
        os.kill(worker, signal.SIGSTOP)
        until(lambda: len(children_of(proxy.process.pid)) == 3, "the second worker")
        # Nobody else says that it is ready, or it was too late.
        if proxy.status()["state"] == "starting":
            return proxy, keeper, worker
        os.kill(worker, signal.SIGCONT)
        proxy.stop()
    raise AssertionError("every worker was ready sooner than it could be stopped")


def test_keeper_killed_while_starting(start, pki, backend, establish):
    """Its successor finds the workers there: none is started a second time, and left behind by everybody."""
    proxy, keeper, worker = launch_held(start, pki, backend)
    workers = set(children_of(proxy.process.pid)) - {keeper}
    os.kill(keeper, signal.SIGKILL)
    until(lambda: keeper_pid(proxy) not in (0, keeper), "another keeper")
    time.sleep(0.5)  # for workers that must not come
    os.kill(worker, signal.SIGCONT)
    proxy.wait_log(r"\bready$")
    assert set(children_of(proxy.process.pid)) == workers | {keeper_pid(proxy)}
    establish(proxy)
    begin = time.monotonic()
    proxy.stop()
    assert not [line for line in proxy.log if "did not end in time" in line], proxy.log
    assert time.monotonic() - begin < 4 * SLOW


def test_stopped_while_starting(start, pki, backend):
    proxy, keeper, _ = launch_held(start, pki, backend)
    begin = time.monotonic()
    proxy.process.send_signal(signal.SIGTERM)
    proxy.process.wait(10 * SLOW)
    assert time.monotonic() - begin < 4, proxy.log
    assert not [line for line in proxy.log if re.search("did not end in time|cannot start", line)], proxy.log
    assert not alive(keeper)
    proxy.stop(proxy.process.returncode)


def test_keeper_killed_under_load(start, loop, echo, context):
    """Its successor comes at once: no client notices, no record is lost, none doubled."""
    proxy = start(echo.address)
    time.sleep(5.5)  # a keeper that dies younger than that is thought to die again, and is given time
    coming = come_and_go(loop, proxy, context, 300, 20)
    until(lambda: proxy.records("stream-closed"), "the load to begin")
    kill_keeper(proxy)
    assert not coming.done(), "the load was over before the keeper was killed"
    outcome = coming.result(PATIENCE * 12)
    assert outcome == [True] * 300, ([o for o in outcome if o is not True][:3],
                                     [r["event"] for r in proxy.records("stream-closed") if r["event"]["outcome"] != "success"][:3])
    proxy.wait_records("stream-closed", 300)
    records = proxy.stop()
    assert len(audit.of(records, "stream-closed")) == len(audit.of(records, "stream-established")) == 300
    assert ({r["xmpp"]["stream"] for r in audit.of(records, "stream-established")} ==
            {r["xmpp"]["stream"] for r in audit.of(records, "stream-closed")})


def test_keeper_killed_again_and_again(start, loop, echo, context):
    """Streams may be refused while it is away (on-failure: refuse), but every connection has its one record, and every
    stream that was let in had its record first."""
    proxy = start(echo.address)
    coming = come_and_go(loop, proxy, context, 400, 10)
    for _ in range(3):
        time.sleep(0.15)
        kill_keeper(proxy)
    outcome = coming.result(PATIENCE * 12)
    refused = len([o for o in outcome if o is not True])
    until(lambda: not proxy.status()["keeper"]["failing"], "the log to be written again")
    again = come_and_go(loop, proxy, context, 20, 10).result(PATIENCE * 12)
    assert again == [True] * 20, again[:3]
    proxy.wait_records("stream-closed", 420)
    records = proxy.stop()
    assert len(audit.of(records, "stream-closed")) == 420
    assert len(audit.of(records, "stream-established")) >= 420 - refused


def test_stream_waits_for_its_record(start, backend, context):
    """Nothing is relayed before stream-established is in the log: with the keeper stopped, the client waits."""
    proxy = start(backend.address)
    pid = keeper_pid(proxy)
    os.kill(pid, signal.SIGSTOP)
    try:
        client = Client(proxy.port).starttls(context)
        client.send(wire.header())
        backend.accept().greet()
        client.quiet(0.7)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert client.until(b"</stream:features>") == wire.backend_header() + wire.limited(wire.FEATURES_AUTH)
    client.close()


def test_master_killed_leaves_no_orphan(start, backend):
    proxy = start(backend.address)
    pids = proxy.worker_pids() + [keeper_pid(proxy)]
    proxy.process.kill()
    proxy.process.wait()
    until(lambda: not any(alive(p) for p in pids), "workers and keeper to end with the master")
    again = start(backend.address, run=False)
    again.config["admin"]["socket"] = proxy.socket  # a stale socket is in nobody's way
    again.config["audit"]["output"] = "file:" + proxy.audit_file  # and the chain goes on
    again.write_config()
    again.start()
    Client(again.port).open()
    again.stop()


def test_second_start_on_the_same_socket_and_port(start, backend):
    proxy = start(backend.address)
    second = start(backend.address, run=False)
    second.config["listeners"] = proxy.config["listeners"]
    second.config["admin"]["socket"] = proxy.socket
    second.write_config()
    second.launch()
    assert second.process.wait(20 * SLOW) == 3, second.log
    assert proxy.status()["pid"] == proxy.process.pid  # the first one has not lost its socket


def test_idle_processes_sleep(start, backend):
    proxy = start(backend.address)
    pids = proxy.worker_pids() + [keeper_pid(proxy), proxy.process.pid]
    before = sum(cpu_seconds(p) for p in pids)
    time.sleep(2)
    assert sum(cpu_seconds(p) for p in pids) - before < 0.1 * SLOW


def test_interrupt_is_a_drain_too(start, backend):
    proxy = start(backend.address)
    proxy.process.send_signal(signal.SIGINT)
    assert proxy.process.wait(20 * SLOW) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees whose sockets they are")
def test_listens_on_nothing_else(start, backend):
    """Only what the configuration names."""
    proxy = start(backend.address)
    out = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True).stdout
    pids = proxy.worker_pids() + [keeper_pid(proxy), proxy.process.pid]
    mine = [line for line in out.splitlines() if any(f"pid={p}," in line for p in pids)]
    assert {line.split()[3] for line in mine} == {f"127.0.0.1:{proxy.port}", f"127.0.0.1:{proxy.direct_port}"}
