# SPDX-License-Identifier: MIT
"""The program as an operator meets it: check, status, streams, help, exit statuses."""
import json
import os
import re

import pytest
import yaml
from harness import wire
from harness.client import Client
from harness.proxy import run_cli
from harness.wait import SLOW

GOOD = """\
listeners:
  - role: c2s-inbound
    address: "127.0.0.1:15222"
domains:
  - name: im.test
    certificate: im.test.pem
    private-key: im.test.key
    backend:
      c2s: "127.0.0.1:25222"
user: {user}
audit:
  output: "file:{directory}/audit.log"
admin:
  socket: {directory}/control.sock
"""


@pytest.fixture
def config(pki, tmp_path):
    """config(change) -> a file with the change made to a good one."""
    from harness.wait import account

    for name in ("im.test.pem", "im.test.key", "other.test.pem", "other.test.key"):
        (tmp_path / name).write_bytes(open(pki.path(name), "rb").read())
        os.chmod(tmp_path / name, 0o600)
    good = GOOD.format(user=account(), directory=tmp_path)

    def make(old="", new="", append=""):
        assert old in good
        path = tmp_path / "portcullis.yaml"
        path.write_text((good.replace(old, new, 1) if old else good) + append)
        return path
    return make


def test_check_of_a_good_file(config):
    path = config()
    done = run_cli("check", "-c", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "encrypt" in done.stdout and "im.test" in done.stdout and "c2s-inbound" in done.stdout
    assert re.search(r"(ECDSA|EC|P-256)", done.stdout)
    assert run_cli("-c", path, "check").returncode == 0  # the option may stand before the subcommand
    assert run_cli("check", "--json", "-c", path).returncode == 0
    json.loads(run_cli("check", "--json", "-c", path).stdout)


BAD = {  # name: (old, new, appended, [(line, column or None, pattern)])
    "unknown key": ("user:", "usr:", "", [(10, 1, r"usr.*user")]),
    "unknown key within": ("    private-key:", "    privat-key:", "", [(7, 5, r"privat-key.*private-key")]),
    "wrong type": ("", "", "limits:\n  depth: many\n", [(16, 10, r"depth.*number|many")]),
    "out of range": ("", "", "workers: 257\n", [(15, 10, r"256")]),
    "bad choice": ("c2s-inbound", "c2s-inbund", "", [(2, 11, r"c2s-inbound")]),
    "duplicate key": ("", "", "user: root\n", [(15, 1, r"user")]),
    "duration without unit": ("", "", "timeouts:\n  idle: 5\n", [(16, 9, r"idle")]),
    "syntax": ("", "", "limits: [\n", [(None, None, r"")]),
    "no such certificate": ("certificate: im.test.pem", "certificate: none.pem", "", [(6, 18, r"none\.pem.*No such file")]),
    "key of another": ("im.test.key", "other.test.key", "", [(None, None, r"key.*match|match.*key")]),
    "certificate of another": ("name: im.test", "name: elsewhere.test", "", [(None, None, r"elsewhere\.test")]),
    "two listeners on one address": ("domains:", "  - {role: c2s-inbound, address: '[::]:15222'}\ndomains:", "", [(4, None, r"15222")]),
    "plaintext to far away": ("127.0.0.1:25222", "192.0.2.1:25222", "", [(9, 12, r"allow-remote-plaintext")]),
    "not in this version": ("", "", "tls: {crl-file: im.test.pem}\n", [(15, 17, r"crl-file.*not available in this version")]),
    "resolver by name": ("", "", "dns: {servers: [\"dns.example\"]}\n", [(15, 17, r"servers\[0\].*dns\.example.*numeric")]),
    "a role without its backend": ("c2s-inbound", "s2s-inbound", "", [(9, 7, r"backend\.s2s.*127\.0\.0\.1:15269")]),
    "an exception without an excuse": ("", "", "peers:\n  - domain: old.test\n    tls: {profile: compat}\n",
                                       [(17, 10, r"peers\[0\]\.tls.*reason.*until: 2027-03-31")]),
    "an exception of which nobody knows when": ("", "", "peers:\n  - {domain: old.test, until: 31.3.2027}\n",
                                                [(16, 31, r"until.*example: 2027-03-31")]),
    "old TLS": ("", "", "tls:\n  min-version: \"1.1\"\n", [(16, 16, r"1\.1")]),
    "weak cipher": ("", "", "tls:\n  ciphers: AES128-SHA\n", [(16, 12, r"AES128-SHA")]),
    "no domains": ("domains:", "dns: {}\ndomain:", "", [(None, None, r"domain")]),
    "backend is the listener": ("127.0.0.1:25222", "127.0.0.1:15222", "", [(9, None, r"15222")]),
}


@pytest.mark.parametrize("name", BAD)
def test_check_of_bad_files(config, name):
    old, new, append, findings = BAD[name]
    path = config(old, new, append)
    for command in ("check", "run"):
        done = run_cli(command, "-c", path)
        assert done.returncode == 1, (done.stdout, done.stderr)
        for line, column, pattern in findings:
            where = re.escape(str(path)) + f":{line or '[0-9]+'}:{column or '[0-9]+'}: "
            assert re.search(where + ".*(" + pattern + ")", done.stdout + done.stderr), (where, pattern, done.stdout, done.stderr)
        assert "ready" not in done.stderr


def test_every_error_in_one_run(config):
    path = config("user:", "usr:", "limits:\n  depth: 0\n  stanza: 1\nmode: monitor\nworkers: no\n")
    out = run_cli("check", "-c", path)
    found = re.findall(re.escape(str(path)) + r":(\d+):", out.stdout + out.stderr)
    assert {"10", "16", "17", "18", "19"} <= set(found), out


def test_key_that_others_may_read(config, tmp_path):
    path = config()
    os.chmod(tmp_path / "im.test.key", 0o644)
    done = run_cli("check", "-c", path)
    assert done.returncode == 1 and "chmod" in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["expired", "1024"])
def test_check_opens_certificates(config, pki, tmp_path, name):
    chain, private = pki.expired("im.test") if name == "expired" else pki.issue("im.test", "weak", ("-newkey", "rsa:1024"))
    path = config("im.test.pem", chain)
    path.write_text(path.read_text().replace("im.test.key", private))
    done = run_cli("check", "-c", path)
    assert done.returncode == 1 and name in done.stdout + done.stderr, done


@pytest.mark.parametrize("words, status", [
    (("check",), 1), (("run",), 1), (("status",), 3), (("streams",), 3), (("reload",), 3), (("peers", "list"), 3)],
    ids=lambda value: value[0] if isinstance(value, tuple) else None)
def test_missing_file(words, status):
    """To check and run it is what was asked about, and bad; to the others it only says where the socket is: none can be asked."""
    done = run_cli(*words, "-c", "/nonexistent/portcullis.yaml")
    assert done.returncode == status and "/nonexistent/portcullis.yaml" in done.stderr, done


def test_status(start, backend, establish):
    proxy = start(backend.address)
    client, _ = establish(proxy)
    with Client(proxy.port) as refused:
        refused.open()
        refused.send(wire.auth())
        refused.to_end()
    proxy.wait_records("stream-closed")
    status = proxy.status()
    assert status["pid"] == proxy.process.pid
    assert len(status["workers"]) == 2 and sum(w["open"] for w in status["workers"]) == 1
    assert proxy.counter("accepted") == 2
    assert "plaintext-auth" in json.dumps(status)
    assert status["keeper"]["written"] >= 3 and not status["keeper"]["failing"]
    text = proxy.cli("status")
    assert text.returncode == 0 and "c2s-inbound" in text.stdout
    client.close()


def test_streams(start, backend, establish):
    proxy = start(backend.address)
    client, server = establish(proxy)
    client.send(b"<message><body>" + b"x" * 1000 + b"</body></message>")
    server.wait_for(b"</message>")
    stream, = proxy.streams()
    assert stream["role"] == "c2s-inbound" and stream["to"] == "im.test"
    text = json.dumps(stream)
    for expected in ("127.0.0.1", "1.3", "TLS_", "PLAIN", "juliet@im.test"):
        assert expected in text, text
    table = proxy.cli("streams")
    assert table.returncode == 0 and "juliet@im.test" in table.stdout and "TLS_" in table.stdout
    client.close()
    proxy.wait_records("stream-closed")
    assert proxy.streams() == []


def test_many_streams_are_listed(start, loop, echo, context):
    from harness.load import Talker, in_batches
    proxy = start(echo.address)
    talkers = [Talker(proxy.port, context) for _ in range(150)]
    started = loop.run(in_batches([t.start() for t in talkers], 50))
    assert not [s for s in started if isinstance(s, BaseException)]
    assert len({s["id"] for s in proxy.streams()}) == 150
    for talker in talkers:
        loop.loop.call_soon_threadsafe(talker.drop)
    proxy.wait_records("stream-closed", 150, timeout=20 * SLOW)


def test_control_socket_bears_bad_guests(start, backend):
    import socket
    proxy = start(backend.address)
    guests = []
    for said in (b"", b"{", b"x" * 100000, b'{"command":"nonsense"}\n', b"[]\n", b"\xff\xff\n"):
        guest = socket.socket(socket.AF_UNIX)
        guest.settimeout(5)
        guest.connect(proxy.socket)
        try:
            guest.sendall(said)
        except OSError:
            pass
        guests.append(guest)
    assert proxy.status()["pid"] == proxy.process.pid
    for guest in guests:
        guest.close()
    assert proxy.status()["pid"] == proxy.process.pid


def test_usage():
    assert run_cli("--help").returncode == 0
    for command in ("run", "check", "status", "streams", "audit"):
        assert run_cli(command, "--help").returncode == 0
    version = run_cli("--version")
    assert version.returncode == 0 and re.search(r"portcullis \d+\.\d+.*OpenSSL.*expat.*libevent", version.stdout, re.S)
    for arguments in ((), ("frobnicate",), ("check", "--frobnicate"), ("status", "extra"), ("audit", "frobnicate")):
        done = run_cli(*arguments)
        assert done.returncode == 2 and done.stderr, arguments
    assert "status" in run_cli("stauts").stderr


def test_nobody_answers(config):
    for command in ("status", "streams", "reload"):
        done = run_cli(command, "-c", config())
        assert done.returncode == 3 and "control.sock" in done.stderr, done


def test_not_in_this_version(config):
    for arguments in (("probe", "example.com"), ("audit", "report", "/dev/null"), ("audit", "query", "/dev/null")):
        done = run_cli(*arguments)
        assert done.returncode == 3 and "not available in this version" in done.stderr, arguments


def test_printed_sample_is_a_good_file(config, tmp_path):
    """The sample of all defaults loads; only its certificate is not there."""
    sample = run_cli("schema", "sample")
    assert sample.returncode == 0 and yaml.safe_load(sample.stdout)
    json.loads(run_cli("schema", "json").stdout)
