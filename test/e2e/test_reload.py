# SPDX-License-Identifier: MIT
"""Reload in place: `portcullis reload` and SIGHUP. New streams take the new configuration, open ones notice nothing; what
is bad changes nothing and says why."""
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from harness import audit, wire
from harness.client import Client
from harness.load import Talker, in_batches
from harness.reload import echo_once, own_files, renew, serial
from harness.wait import PATIENCE, SLOW, alive, free_port, until

LOCATED = r"portcullis\.yaml:\d+:\d+: "


def test_nothing_has_changed(start, backend):
    proxy = start(backend.address)
    loaded = proxy.status()["loaded"]
    assert "reload" not in proxy.status()
    assert proxy.reload() == "reloaded: nothing has changed\n"
    status = proxy.status()
    assert status["reload"]["ok"] is True and status["reload"]["text"] == "nothing has changed"
    assert status["loaded"] > loaded
    assert re.search(r"last reload +\S+Z done: nothing has changed", proxy.cli("status").stdout)
    reloaded, = audit.of(proxy.stop(), "proxy-reloaded")
    assert reloaded["event"]["outcome"] == "success"


# What is wrong, and what the answer must say. Each breaks a configuration that was good.
def break_yaml(proxy, _):
    with open(proxy.config_file, "a", encoding="utf-8") as out:
        out.write("listeners: [\n")


def break_yaml_before_everything(proxy, _):
    text = open(proxy.config_file, encoding="utf-8").read()
    with open(proxy.config_file, "w", encoding="utf-8") as out:
        out.write("}{\n" + text)


def rewrite(change):
    def breaking(proxy, pki):
        change(proxy.config, proxy, pki)
        proxy.write_config()
    return breaking


@rewrite
def unknown_key(config, *_):
    config["timeouts"]["negotation"] = "3s"


@rewrite
def wrong_values(config, *_):
    config["limits"]["depth"] = "deep"
    config["tls"] = {"min-version": "1.1"}
    config["modus"] = "enforce"


def certificate_garbage(proxy, _):
    with open(proxy.config["domains"][0]["certificate"], "w", encoding="ascii") as out:
        out.write("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")


def key_of_another(proxy, pki):
    shutil.copy(pki.path("other.test.key"), proxy.config["domains"][0]["private-key"])


def key_open_to_all(proxy, _):
    os.chmod(proxy.config["domains"][0]["private-key"], 0o644)


def expired(proxy, pki):
    chain, key = pki.expired("im.test")
    shutil.copy(chain, proxy.config["domains"][0]["certificate"])
    shutil.copy(key, proxy.config["domains"][0]["private-key"])


def another_name(proxy, pki):
    shutil.copy(pki.path("other.test.pem"), proxy.config["domains"][0]["certificate"])
    shutil.copy(pki.path("other.test.key"), proxy.config["domains"][0]["private-key"])


def missing_file(proxy, _):
    os.unlink(proxy.config["domains"][0]["certificate"])


@rewrite
def address_not_ours(config, *_):
    config["listeners"].append({"role": "c2s-inbound", "address": "192.0.2.7:5222"})


BROKEN = [
    (break_yaml, r"not valid YAML", 1), (break_yaml_before_everything, r"not valid YAML|expected", 1),
    (unknown_key, r'did you mean "negotiation"', 1), (wrong_values, r"limits\.depth", 3),
    (certificate_garbage, r"unreadable certificate", 1), (key_of_another, r"does not match", 1),
    (key_open_to_all, r"open to every account", 1), (expired, r"expired on", 1), (another_name, r"does not cover im\.test", 1),
    (missing_file, r"No such file", 1), (address_not_ours, r"does not have that address", 1)]


@pytest.mark.parametrize("breaking,said,findings", BROKEN, ids=[b[0].__name__ if b[0].__name__ != "breaking" else
                                                                 re.sub(r"\W+", "-", b[1]) for b in BROKEN])
@pytest.mark.parametrize("how", ["command", "signal"])
def test_broken(start, backend, establish, pki, context, breaking, said, findings, how):
    """Nothing changes; every finding is on the operator's log and, with its place, on the command's output; the record
    says why; and what is repaired is taken."""
    proxy = start(backend.address, run=False)
    chain, key = own_files(proxy, pki)
    good = {path: open(path, "rb").read() for path in (chain, key, proxy.config_file)}
    proxy.start()
    before, pids = serial(proxy.direct_port, context), proxy.worker_pids()
    client, server = establish(proxy)
    breaking(proxy, pki)
    if how == "command":
        done = proxy.cli("reload")
        assert done.returncode == 1, (done.stdout, done.stderr)
        errors = [line for line in done.stderr.splitlines() if re.search(LOCATED, line) and "warning" not in line
                  and "not reloaded" not in line]
        assert len(errors) == findings and re.search(said, "\n".join(errors)), done.stderr
        assert re.search(r"not reloaded, nothing has changed", done.stderr) and done.stdout == ""
    else:
        proxy.process.send_signal(signal.SIGHUP)
    assert len(proxy.wait_log(r"^error: .*" + LOCATED + r".*")) >= findings
    assert proxy.wait_log(said) and proxy.wait_log(r"not reloaded, nothing has changed: ")
    failed, = proxy.wait_records("proxy-reloaded")
    assert failed["event"]["outcome"] == "failure" and re.search(LOCATED, failed["event"]["reason"]), failed
    assert proxy.worker_pids() == pids and serial(proxy.direct_port, context) == before
    echo_once(client, server)
    for path, content in good.items():
        with open(path, "wb") as out:
            out.write(content)
    os.chmod(key, 0o600)
    done = proxy.cli("reload")
    assert done.returncode == 0, done.stderr
    echo_once(client, server, 1)
    client.close()


def test_port_in_use(start, backend):
    """Somebody else's port: refused with the listener's place, and those that could be opened are closed again."""
    proxy = start(backend.address)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        free = free_port()
        proxy.config["listeners"] += [{"role": "c2s-inbound", "address": f"127.0.0.1:{port}"}
                                      for port in (free, other.getsockname()[1])]
        said = proxy.reload(expect=1)
        assert re.search(LOCATED + r'"listeners\[3\]\.address": cannot listen on .*already in use', said), said
        with pytest.raises(ConnectionRefusedError):
            Client(free)
    Client(proxy.port).open()
    assert "127.0.0.1:%d added" % free in proxy.reload()  # the other program is gone
    Client(free).open()


def test_listeners_come_and_go(start, backend, establish, context):
    proxy = start(backend.address)
    client, server = establish(proxy)
    first, second = free_port(), free_port()
    direct = proxy.config["listeners"].pop(1)
    proxy.config["listeners"] = [{"role": "c2s-inbound", "address": f"127.0.0.1:{p}"} for p in (first, second)] + \
        proxy.config["listeners"]
    said = proxy.reload()
    assert said == (f"reloaded: listeners: 127.0.0.1:{first} added, 127.0.0.1:{second} added, "
                    f"{direct['address']} removed\n")
    for port in (first, second, proxy.port):
        for _ in range(6):
            Client(port).open()
    with pytest.raises(ConnectionRefusedError):
        Client(proxy.direct_port)
    # The stream came in by a listener whose number is another now.
    echo_once(client, server)
    # The same address with other settings keeps its socket.
    proxy.config["listeners"][0]["tls"] = "direct"
    proxy.config["listeners"].append(direct)
    del proxy.config["listeners"][1]
    assert f"127.0.0.1:{first} changed" in proxy.reload()
    for _ in range(6):
        Client(first).handshake(context).close()
        Client(proxy.direct_port).handshake(context).close()
    data, _ = Client(first).send(wire.header()).to_end()
    assert b"<" not in data
    with pytest.raises(ConnectionRefusedError):
        Client(second)
    client.close()


def test_sockets_of_a_killed_worker(start, backend):
    """Sockets that a reload has opened are the slot's: a worker's successor has them too."""
    proxy = start(backend.address)
    port = free_port()
    proxy.config["listeners"].append({"role": "c2s-inbound", "address": f"127.0.0.1:{port}"})
    proxy.reload()
    old = proxy.worker_pids()
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not set(old) & set(proxy.worker_pids()) and all(proxy.worker_pids()), "new workers")
    for _ in range(8):
        Client(port).open()
        Client(proxy.port).open()


def test_queued_connections_of_a_removed_listener(start, backend, context):
    """What the kernel had queued is served, though the listener goes; with what it had been told."""
    proxy = start(backend.address)
    pids = proxy.worker_pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    waiting = [Client(proxy.direct_port) for _ in range(20)]
    proxy.config["listeners"].pop(1)
    proxy.write_config()
    proxy.process.send_signal(signal.SIGHUP)
    proxy.wait_log("reading .* again")
    time.sleep(0.3)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    proxy.wait_log(r"reloaded: .*removed")
    for client in waiting:
        client.handshake(context).close()
    with pytest.raises(ConnectionRefusedError):
        Client(proxy.direct_port)


def test_under_load(start, loop, echo, pki, context):
    """200 open streams talk through a reload of everything: none is disturbed, each byte arrives."""
    proxy = start(echo.address, run=False)
    chain, key = own_files(proxy, pki)
    proxy.start()
    talkers = [Talker(proxy.port, context) for _ in range(200)]
    started = loop.run(in_batches([t.start() for t in talkers], 40))
    assert not [s for s in started if isinstance(s, BaseException)], started[:3]
    enough = threading.Event()

    async def talk_on(talker):
        number = 0
        while not enough.is_set():
            await talker.echo(number, 400)
            number += 1
        return number
    talking = loop.begin(in_batches([talk_on(t) for t in talkers], 200))
    try:
        for round_ in range(3):
            time.sleep(0.3)
            renew(pki, "im.test", chain, key)
            proxy.config["listeners"] = proxy.config["listeners"][:2] + [
                {"role": "c2s-inbound", "address": f"127.0.0.1:{free_port()}"}]
            proxy.config["timeouts"]["idle"] = f"{100 + round_}s"
            proxy.config["tls"] = {"profile": ("modern", "bcp195")[round_ % 2]}
            assert "reloaded: " in proxy.reload()
        assert sum(w["open"] for w in proxy.status()["workers"]) == 200
    finally:
        enough.set()
        counts = talking.result(PATIENCE * 12)
    assert all(isinstance(n, int) and n > 0 for n in counts), [c for c in counts if not isinstance(c, int)][:3]
    fresh = [Talker(proxy.port, context) for _ in range(20)]
    loop.run(in_batches([t.start() for t in fresh], 20))
    loop.run(in_batches([t.finish() for t in talkers + fresh], 60))
    proxy.wait_records("stream-closed", 220)
    records = proxy.stop()
    assert {r["event"]["code"] for r in audit.of(records, "stream-closed")} == {"closed"}
    assert [r["event"]["outcome"] for r in audit.of(records, "proxy-reloaded")] == ["success"] * 3


def test_open_streams_keep_their_configuration(start, backend, establish):
    """A timeout that is set now does not end the stream that began without it."""
    proxy = start(backend.address)
    client, server = establish(proxy)
    proxy.config["timeouts"]["idle"] = "1s"
    assert proxy.reload() == "reloaded: timeouts.idle\n"
    fresh, fresh_server = establish(proxy)
    data, how = fresh.to_end(PATIENCE)
    assert data.endswith(wire.CLOSE) and how == "fin"
    fresh_server.wait_end()
    echo_once(client, server)
    closed, = proxy.wait_records("stream-closed")
    assert closed["event"]["code"] == "idle"
    client.close()


def test_new_domain_and_new_backend(start, backend, establish, context):
    from harness.backend import Backend
    proxy = start(backend.address, domains=("im.test",))
    data, _ = Client(proxy.port).send(wire.header("other.test")).to_end()
    assert re.search(wire.error_pattern("host-unknown"), data), data
    client, server = establish(proxy)
    second = Backend()
    full = start(backend.address, run=False)
    proxy.config["domains"] = full.config["domains"][:2]
    proxy.config["domains"][0]["backend"] = {"c2s": second.address}
    assert proxy.reload() == "reloaded: domains: im.test changed, other.test added\n"
    Client(proxy.port).starttls(context, "other.test").close()
    fresh = Client(proxy.port).starttls(context)
    fresh.send(wire.header())
    second.accept().greet()
    fresh.until(b"</stream:features>")
    echo_once(client, server)
    proxy.config["domains"] = proxy.config["domains"][:1]
    assert "other.test removed" in proxy.reload()
    data, _ = Client(proxy.port).send(wire.header("other.test")).to_end()
    assert re.search(wire.error_pattern("host-unknown"), data), data
    for c in (client, fresh):
        c.close()
    second.close()


def set_path(config, dotted, value):
    *path, last = dotted.split(".")
    for part in path:
        config = config.setdefault(part, {})
    config[last] = value


@pytest.mark.parametrize("key,value", [("workers", 3), ("user", "daemon"), ("limits.connections", 200000),
                                       ("admin.socket", "elsewhere.sock"), ("audit.output", "stdout"), ("audit.chain", False)])
def test_what_takes_a_restart(start, backend, key, value):
    proxy = start(backend.address)
    good = open(proxy.config_file, encoding="utf-8").read()
    before = proxy.socket
    set_path(proxy.config, key, value)
    proxy.config["timeouts"]["connect"] = "7s"  # and nothing else is taken either
    proxy.write_config()
    done = subprocess.run([*proxy_command(), "reload", "--socket", before], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and f'"{key}"' in done.stderr and "restart" in done.stderr, done.stderr
    with open(proxy.config_file, "w", encoding="utf-8") as out:
        out.write(good)
    proxy.config["audit"] = {"output": "file:" + proxy.audit_file}
    assert proxy.cli("reload").stdout == "reloaded: nothing has changed\n"


def proxy_command():
    from harness.proxy import BINARY
    return [BINARY]


def test_limits_take_effect(start, backend):
    proxy = start(backend.address)
    held = [Client(proxy.port) for _ in range(4)]
    for client in held:
        client.open()
    proxy.config["limits"]["connections-per-address"] = 5
    proxy.config["limits"]["connections"] = 50000
    assert proxy.reload() == "reloaded: limits.connections; limits.connections-per-address\n"
    held.append(Client(proxy.port))
    held[-1].open()
    data, _ = Client(proxy.port).send(wire.header()).to_end()
    assert data == b""
    proxy.config["limits"]["connections-per-address"] = 2000
    proxy.reload()
    held.append(Client(proxy.port))
    held[-1].open()
    for client in held:
        client.close()


def test_log_level(start, backend):
    proxy = start(backend.address)
    proxy.config["log"] = {"level": "debug"}
    proxy.reload()
    Client(proxy.port).open()
    proxy.wait_log(r"^debug: worker \d: stream \w+: ")
    proxy.config["log"] = {"level": "error"}
    proxy.reload()
    until(lambda: len(proxy.log) == (time.sleep(0.2), len(proxy.log))[1], "silence")
    lines = len(proxy.log)
    Client(proxy.port).open()
    time.sleep(0.3)
    assert len(proxy.log) == lines


def test_worker_killed_while_preparing(start, backend):
    """Its successor is asked in its place, and all have the new configuration in the end."""
    proxy = start(backend.address)
    time.sleep(5.2)  # a worker that dies younger is given time
    victim, other = proxy.worker_pids()
    os.kill(victim, signal.SIGSTOP)
    proxy.config["timeouts"]["connect"] = "7s"
    proxy.write_config()
    proxy.process.send_signal(signal.SIGHUP)
    proxy.wait_log("reading .* again")
    time.sleep(0.2)
    assert "reload" not in proxy.status()
    os.kill(victim, signal.SIGKILL)
    proxy.wait_log("reloaded: timeouts.connect")
    assert other in proxy.worker_pids() and victim not in proxy.worker_pids()
    for _ in range(8):
        Client(proxy.port).open()


def test_workers_that_die_of_it(start, backend):
    """Two deaths while preparing: the new configuration is thought to be the cause, nothing changes."""
    proxy = start(backend.address)
    pids = proxy.worker_pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    proxy.config["timeouts"]["connect"] = "7s"
    proxy.write_config()
    proxy.process.send_signal(signal.SIGHUP)
    proxy.wait_log("reading .* again")
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    proxy.wait_log("not reloaded, nothing has changed: workers died")
    until(lambda: not set(pids) & set(proxy.worker_pids()) and all(proxy.worker_pids()), "new workers")
    until(lambda: not proxy.wait_log("reading") or all(alive(p) for p in proxy.worker_pids()), "workers")
    assert proxy.reload() == "reloaded: timeouts.connect\n"
    Client(proxy.port).open()


def test_storm(start, backend, establish, pki):
    """Twenty in a row, and twenty at once: each is answered, the last word counts, nothing leaks, a stream talks on."""
    proxy = start(backend.address)
    client, server = establish(proxy)

    def descriptors():
        return [len(os.listdir(f"/proc/{pid}/fd")) for pid in [proxy.process.pid] + proxy.worker_pids()]
    proxy.reload()
    before = descriptors()
    extra = free_port()
    listeners = proxy.config["listeners"]
    for number in range(20):
        proxy.config["listeners"] = listeners + ([{"role": "c2s-inbound", "address": f"127.0.0.1:{extra}"}]
                                                 if number % 2 == 0 else [])
        said = proxy.reload()
        assert ("added" if number % 2 == 0 else "removed") in said, said
        echo_once(client, server, number)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(proxy.cli("reload"))) for _ in range(12)]
    for _ in range(8):
        proxy.process.send_signal(signal.SIGHUP)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE * 3)
    assert [a.returncode for a in answers] == [0] * 12, [a.stderr for a in answers if a.returncode][:2]
    echo_once(client, server, 20)
    until(lambda: descriptors() == before, f"as many descriptors as before ({before}); now {descriptors()}")
    client.close()


def test_signal_equals_command(start, backend):
    proxy = start(backend.address)
    proxy.config["timeouts"]["connect"] = "7s"
    proxy.write_config()
    proxy.process.send_signal(signal.SIGHUP)
    proxy.wait_log("reloaded: timeouts.connect")
    by_signal = proxy.wait_records("proxy-reloaded")[0]
    proxy.config["timeouts"]["connect"] = "8s"
    assert proxy.reload() == "reloaded: timeouts.connect\n"
    by_command = proxy.wait_records("proxy-reloaded", 2)[1]
    for record in (by_signal, by_command):
        for member in ("@timestamp", "audit"):
            del record[member]
        del record["event"]["id"]
    assert by_signal == by_command


@pytest.mark.parametrize("good", [True, False])
def test_log_files_are_reopened(start, backend, good):
    proxy = start(backend.address)
    Client(proxy.port).close()
    proxy.wait_records("stream-closed")
    os.rename(proxy.audit_file, proxy.audit_file + ".1")
    if not good:
        break_yaml(proxy, None)
    done = proxy.cli("reload")
    assert done.returncode == (0 if good else 1)
    until(lambda: os.path.exists(proxy.audit_file), "the new file")
    proxy.process.send_signal(signal.SIGTERM)
    assert proxy.process.wait(20 * SLOW) == 0
    audit.verify_chain([proxy.audit_file + ".1", proxy.audit_file])


def test_systemd_is_told(start, backend, tmp_path):
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.settimeout(PATIENCE)
    notify.bind(str(tmp_path / "notify"))
    os.chmod(tmp_path, 0o755)
    os.chmod(tmp_path / "notify", 0o666)
    proxy = start(backend.address, env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    while "READY=1" not in notify.recv(4096).decode():
        pass
    for expect in (0, 1):
        begin = time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6
        if expect:
            break_yaml(proxy, None)
        assert proxy.cli("reload").returncode == expect
        said = notify.recv(4096).decode().splitlines()
        assert said[0] == "RELOADING=1" and begin <= int(said[1].partition("MONOTONIC_USEC=")[2]) <= begin + 60e6, said
        assert notify.recv(4096).decode().splitlines()[0] == "READY=1"
    notify.close()


def test_keeper_restarted_after_reload(start, backend):
    """It starts with what is in force now."""
    proxy = start(backend.address)
    proxy.config["audit"]["on-failure"] = "continue"
    assert proxy.reload() == "reloaded: audit.on-failure\n"
    pid = proxy.status()["keeper"]["pid"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: proxy.status()["keeper"]["pid"] not in (0, pid), "a new keeper")
    Client(proxy.port).open()
    proxy.wait_records("stream-closed")


def test_on_failure_follows(start, backend, establish):
    """refuse becomes continue while the keeper is away: new streams are taken where they would have waited."""
    proxy = start(backend.address)
    proxy.config["audit"]["on-failure"] = "continue"
    proxy.reload()
    pid = proxy.status()["keeper"]["pid"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: proxy.status()["keeper"]["pid"] not in (0, pid), "a new keeper")
    pid = proxy.status()["keeper"]["pid"]
    os.kill(pid, signal.SIGKILL)  # young: its successor is given a second, and the log counts as failing meanwhile
    until(lambda: proxy.status()["keeper"]["failing"], "the log to fail")
    client, server = establish(proxy)
    echo_once(client, server)
    client.close()


def test_stop_during_reload(start, backend):
    """Who waits for the reload is told; the stop is clean."""
    proxy = start(backend.address)
    pids = proxy.worker_pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(proxy.cli("reload")))
    thread.start()
    proxy.wait_log("reading .* again")
    time.sleep(0.2)
    proxy.process.send_signal(signal.SIGTERM)
    thread.join(PATIENCE)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    assert answers[0].returncode == 1 and "stopping" in answers[0].stderr, answers[0].stderr
    failed, = audit.of(proxy.stop(), "proxy-reloaded")
    assert failed["event"]["outcome"] == "failure"


