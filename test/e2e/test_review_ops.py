# SPDX-License-Identifier: MIT
"""What goes wrong around the proxy while it runs: closed standard streams, a reader that sleeps, a log that disappears,
a hostile openssl.cnf, a control socket that is somebody else's, keys where they do not belong."""
import base64
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest
from harness import audit, wire
from harness.client import Client
from harness.proxy import BINARY, environment, run_cli
from harness.wait import PATIENCE, SLOW, account, until

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="without root there is nothing to drop")


def launch_with(proxy, **streams):
    """proxy.launch() with standard streams of the test's own choice; stderr is read unless it is given."""
    streams.setdefault("stderr", subprocess.PIPE)
    proxy.process = subprocess.Popen((BINARY, "run", "-c", proxy.config_file), env=environment(), **streams)
    proxy.readers = []
    if proxy.process.stderr:
        proxy.readers.append(threading.Thread(target=proxy.read, args=(proxy.process.stderr, proxy.log), daemon=True))
        proxy.readers[0].start()
    until(lambda: proxy.process.poll() is not None or os.path.exists(proxy.socket), "the control socket", 20 * SLOW)
    until(lambda: proxy.process.poll() is not None or proxy.status()["state"] == "running", "running", 20 * SLOW)
    return proxy


def children(proxy):
    status = proxy.status()
    return [status["keeper"]["pid"]] + [w["pid"] for w in status["workers"]]


def serve_one(proxy, backend, context):
    """A stream as far as the legacy server's features; False when it was turned away."""
    try:
        client = Client(proxy.port).starttls(context)
        client.send(wire.header())
        server = backend.accept(4 * SLOW)
        server.greet()
        client.until(wire.limited(wire.FEATURES_AUTH), 4 * SLOW)
    except (AssertionError, OSError):
        return False
    client.drop()
    server.close()
    return True


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams(start, backend, closed):
    """The next file opened must not become stdin, stdout or stderr: children keep those three."""
    proxy = start(backend.address, run=False)
    proxy.process = subprocess.Popen(["sh", "-c", f'exec "$0" run -c "$1" {closed}', BINARY, proxy.config_file],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                     env=environment())
    proxy.readers = []
    until(lambda: os.path.exists(proxy.socket) and proxy.cli("status").returncode == 0, "an answer", 20 * SLOW)
    for pid in [proxy.process.pid] + children(proxy):
        for fd in range(3):
            assert os.readlink(f"/proc/{pid}/fd/{fd}") == "/dev/null", (closed, pid, fd)
    for pid in children(proxy):
        open_files = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert not [f for f in open_files if "bundle" in f or "signalfd" in f], open_files
    proxy.stop()


def test_closed_stdout_is_no_audit_log(start, backend, context):
    """Records that go nowhere must not count as written: with `refuse` no stream is taken."""
    proxy = start(backend.address, run=False, config={"audit": {"output": "stdout"}})
    proxy.process = subprocess.Popen(["sh", "-c", 'exec "$0" run -c "$1" >&-', BINARY, proxy.config_file],
                                     stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
    proxy.readers = []
    until(lambda: os.path.exists(proxy.socket) and proxy.cli("status").returncode == 0 and
          proxy.status()["keeper"]["failing"], "the log to fail", 20 * SLOW)
    proxy.process.send_signal(signal.SIGTERM)
    proxy.process.send_signal(signal.SIGTERM)
    assert proxy.process.wait(30 * SLOW) == 0


@pytest.mark.parametrize("on_failure", ["continue", "refuse"])
def test_reader_of_stdout_sleeps(start, backend, context, on_failure):
    """A pipe that nobody empties is a log that cannot be written; the keeper must not sleep in write(2) with it."""
    proxy = start(backend.address, run=False, config={
        "audit": {"output": "stdout", "on-failure": on_failure}, "workers": 1, "timeouts": {"drain": "300ms"}})
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"\n" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    launch_with(proxy, stdin=subprocess.DEVNULL, stdout=writing)
    os.close(writing)
    proxy.wait_log("audit log .* cannot be written")
    assert serve_one(proxy, backend, context) == (on_failure == "continue")
    assert proxy.status()["keeper"]["failing"] is True
    assert len([line for line in proxy.log if "cannot be written" in line]) == 1
    text, end = b"", threading.Event()

    def read():
        nonlocal text
        while data := os.read(reading, 65536):
            text += data
        end.set()
    threading.Thread(target=read, daemon=True).start()
    proxy.wait_log("is written again")
    assert serve_one(proxy, backend, context)
    proxy.stop()
    assert end.wait(PATIENCE)
    os.close(reading)
    actions = [json.loads(line)["event"]["action"] for line in text.split(b"\n") if line]
    assert actions[0] == "proxy-started" and actions[-1] == "proxy-stopped"
    assert actions.count("stream-established") == (2 if on_failure == "continue" else 1)
    assert actions.count("stream-closed") == 2


def rename_and_kill_keeper(proxy):
    os.rename(proxy.audit_file, proxy.audit_file + ".1")
    keeper = proxy.status()["keeper"]["pid"]
    os.kill(keeper, signal.SIGKILL)
    until(lambda: proxy.status()["keeper"]["pid"] not in (0, keeper) and os.path.exists(proxy.audit_file),
          "a new keeper", 20 * SLOW)


def test_keeper_dies_between_rename_and_sighup(start, backend, context):
    """Its successor finds no file: the chain goes on all the same."""
    proxy = start(backend.address)
    assert serve_one(proxy, backend, context)
    proxy.wait_records("stream-closed")
    rename_and_kill_keeper(proxy)
    assert serve_one(proxy, backend, context)
    proxy.wait_records("stream-closed")
    proxy.process.send_signal(signal.SIGTERM)
    assert proxy.process.wait(30 * SLOW) == 0
    files = [proxy.audit_file + ".1", proxy.audit_file]
    assert audit.verify_chain(files) >= 7
    done = run_cli("audit", "verify", *files)
    assert done.returncode == 0, done.stderr


def test_deleted_log(start, backend, context):
    """A file without a name is no log: it is said, and a new one goes on with the chain."""
    proxy = start(backend.address)
    assert serve_one(proxy, backend, context)
    before = proxy.wait_records("stream-closed")[-1]["audit"]["seq"]
    os.unlink(proxy.audit_file)
    assert serve_one(proxy, backend, context)
    until(lambda: os.path.exists(proxy.audit_file), "a new file")
    proxy.wait_records("stream-closed")
    proxy.wait_log("audit log .* was deleted")
    first = proxy.records()[0]
    assert first["event"]["action"] == "checkpoint" and first["audit"]["seq"] == before + 1
    proxy.process.send_signal(signal.SIGTERM)
    assert proxy.process.wait(30 * SLOW) == 0
    assert run_cli("audit", "verify", proxy.audit_file).returncode == 0


@ROOT
def test_deleted_log_that_cannot_be_made_again(start, backend, context):
    """Fail closed: the account may not make files there, so no stream is taken."""
    proxy = start(backend.address, run=False)
    os.chmod(proxy.audit_directory, 0o755)
    proxy.start()
    assert serve_one(proxy, backend, context)
    proxy.wait_records("stream-closed")
    os.unlink(proxy.audit_file)
    assert not serve_one(proxy, backend, context)
    proxy.wait_log("cannot be written: Permission denied")
    os.chmod(proxy.audit_directory, 0o777)
    proxy.wait_log("is written again")
    assert serve_one(proxy, backend, context)
    proxy.process.send_signal(signal.SIGTERM)
    assert proxy.process.wait(30 * SLOW) == 0
    assert run_cli("audit", "verify", proxy.audit_file).returncode == 0


CNF = "openssl_conf = x\n[x]\n"


@pytest.mark.parametrize("text", [
    CNF + "providers = p\n[p]\nlegacy = l\n[l]\nactivate = 1\n",
    CNF + "alg_section = a\n[a]\ndefault_properties = fips=yes\n",
    CNF + "ssl_conf = s\n[s]\nsystem_default = d\n[d]\nMaxProtocol = TLSv1.1\nCipherString = aNULL\n",
    "garbage = = [\nopenssl_conf"], ids=["providers", "properties", "versions", "garbage"])
def test_openssl_configuration_is_not_read(start, backend, context, tmp_path, text):
    """Not by a worker, and not by the master, whose OpenSSL the workers inherit."""
    file = tmp_path / "openssl.cnf"
    file.write_text(text)
    os.chmod(tmp_path, 0o755)
    proxy = start(backend.address, env={"OPENSSL_CONF": str(file)})
    assert serve_one(proxy, backend, context)


def holds(pid, needle):
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            low, high = (int(x, 16) for x in line.split()[0].split("-"))
            if line.split()[1][0] != "r" or high - low > 1 << 28:
                continue
            try:
                memory.seek(low)
                if needle in memory.read(high - low):
                    return True
            except (OSError, OverflowError, ValueError):
                continue
    return False


@ROOT
@pytest.mark.skipif(os.environ.get("PORTCULLIS_FLAVOUR") == "asan", reason="ASan keeps what was freed, in places of its own")
def test_no_private_key_in_master_and_keeper(start, backend, pki):
    with open(pki.path("im.test.key"), encoding="ascii") as file:
        lines = [line for line in file.read().split("\n") if line and not line.startswith("-")]
    der = base64.b64decode("".join(lines))
    proxy = start(backend.address)
    keeper, worker = children(proxy)[:2]
    needles = [lines[1].encode(), der[36:66]]
    assert any(holds(worker, n) for n in needles), "nothing is found where the key must be: this test finds nothing"
    for pid in (proxy.process.pid, keeper):
        for number, needle in enumerate(needles):
            assert not holds(pid, needle), f"pid {pid} holds the private key, form {number}"


def test_control_socket_of_somebody_else(start, backend):
    proxy = start(backend.address, run=False)
    with open(proxy.socket, "w", encoding="ascii") as file:
        file.write("precious")
    proxy.launch()
    assert proxy.process.wait(20 * SLOW) == 3
    proxy.wait_log("is no socket")
    with open(proxy.socket, encoding="ascii") as file:
        assert file.read() == "precious"


def test_only_our_control_socket_is_removed(start, backend):
    proxy = start(backend.address)
    os.unlink(proxy.socket)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(proxy.socket)
        proxy.stop()
        assert os.path.exists(proxy.socket)


def test_idle_worker_does_not_wake(start, backend):
    """Nothing to do is nothing done: no timer for a log that works."""
    proxy = start(backend.address, config={"workers": 1})
    time.sleep(1.5)

    def switches(pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", file.read(), re.M).group(1))
    pids, woken = [proxy.process.pid] + children(proxy), []
    for _ in range(3):  # a page that the system took away and brings back is a wait, too; a timer shows in each of them
        before = [switches(pid) for pid in pids]
        time.sleep(4)
        woken.append([switches(pid) - b for pid, b in zip(pids, before)])
        if woken[-1] == [0, 0, 0]:
            return
    raise AssertionError(woken)


def configuration(tmp_path, pki, key, extra="", start=""):
    path = tmp_path / "portcullis.yaml"
    path.write_bytes((start + f"""\
listeners:
  - {{role: c2s-inbound, address: "127.0.0.1:15222"}}
domains:
  - name: im.test
    certificate: {pki.path("im.test.pem")}
    private-key: {pki.path(key)}
    backend: {{c2s: "127.0.0.1:15223"}}
user: {account()}
admin: {{socket: {tmp_path}/control.sock}}
""" + extra).encode())
    return path


def test_errors_of_text_and_of_certificates_in_one_run(pki, tmp_path):
    """A key that does not match is found also where some other line is wrong."""
    path = configuration(tmp_path, pki, "other.test.key", "limits: {depth: many}\nunknown: 1\n")
    done = run_cli("check", "-c", path)
    assert done.returncode == 1
    for line in (6, 10, 11):
        assert f"{path}:{line}:" in done.stderr, done.stderr
    assert "does not match" in done.stderr


def test_byte_order_mark_is_no_error(pki, tmp_path):
    path = configuration(tmp_path, pki, "im.test.key", start="\ufeff")
    assert run_cli("check", "-c", path).returncode == 0
    path = configuration(tmp_path, pki, "im.test.key", "unknown: 1\n", start="\ufeff")
    assert f"{path}:10:1: unknown key" in run_cli("check", "-c", path).stderr


def test_audit_log_that_is_a_directory(pki, tmp_path):
    path = configuration(tmp_path, pki, "im.test.key", f'audit: {{output: "file:{tmp_path}"}}\n')
    done = run_cli("check", "-c", path)
    assert done.returncode == 1 and f"{path}:10:17: " in done.stderr and "is a directory" in done.stderr
