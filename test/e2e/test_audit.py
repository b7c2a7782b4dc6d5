# SPDX-License-Identifier: MIT
"""The audit log: its outputs, the full disk, rotation, what must never be in it."""
import base64
import json
import os
import re
import signal
import subprocess

import pytest
from harness import audit, wire
from harness.client import Client
from harness.proxy import run_cli
from harness.wait import SLOW, until

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")


@pytest.fixture
def small_disk(start, backend):
    """A proxy whose audit log stands on 64 KiB of tmpfs."""
    mounted = []

    def make(on_failure):
        proxy = start(backend.address, run=False, config={
            "audit": {"on-failure": on_failure}, "workers": 1, "timeouts": {"negotiation": "4s", "drain": "1s"}})
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0777", "tmpfs", proxy.audit_directory], capture_output=True)
        if done.returncode:
            pytest.skip("this machine does not let root mount a tmpfs")
        mounted.append(proxy)
        return proxy.start()
    yield make
    for proxy in mounted:
        # The log is checked before its disk goes away; what remains is for the fixture that started the proxy.
        if proxy.process.poll() is None:
            proxy.process.send_signal(signal.SIGTERM)
            proxy.process.wait(30 * SLOW)
        subprocess.run(["umount", "-l", proxy.audit_directory], check=True)


def fill(proxy):
    path = os.path.join(proxy.audit_directory, "filler")
    with open(path, "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"x" * 1024)
        except OSError:
            pass
    return path


def attempt(proxy, backend, context):
    """One stream up to its features: "served", or how it was turned away."""
    try:
        client = Client(proxy.port)
        client.send(wire.header())
        client.until(wire.FEATURES_STARTTLS, 6 * SLOW)
        client.send(wire.STARTTLS)
        client.until(wire.PROCEED, 6 * SLOW)
        client.handshake(context).send(wire.header())
    except (AssertionError, OSError):
        return "not taken"
    try:
        server = backend.accept(1.5)
        server.greet()
    except (AssertionError, OSError):
        server = None
    try:
        answer = client.until(re.compile(rb"</stream:(features|stream)>"), 7 * SLOW)
        served = answer.endswith(b"</stream:features>")
        assert served or re.search(wire.error_pattern("internal-server-error"), answer), answer
        return "served" if served else "refused"
    except (AssertionError, OSError):
        return "closed"
    finally:
        client.drop()
        if server:
            server.close()


@ROOT
def test_disk_full_refuse(small_disk, backend, context):
    """No stream without its record; said once; when there is room again, everything is written and streams are taken."""
    proxy = small_disk("refuse")
    assert attempt(proxy, backend, context) == "served"
    filler = fill(proxy)
    outcomes = []
    until(lambda: outcomes.append(attempt(proxy, backend, context)) or outcomes[-1] != "served", "a stream to be refused", 60 * SLOW)
    outcomes = [attempt(proxy, backend, context) for _ in range(4)]
    assert "served" not in outcomes, outcomes
    assert until(lambda: proxy.status()["keeper"]["failing"], "status to say so")
    said = [line for line in proxy.log if "No space left" in line]
    assert len(said) == 1, said
    os.unlink(filler)
    until(lambda: attempt(proxy, backend, context) == "served", "streams to be taken again", 30 * SLOW)
    assert not proxy.status()["keeper"]["failing"]
    assert len([line for line in proxy.log if "No space left" in line]) == 1
    records = proxy.stop()
    accepted = {r["xmpp"]["stream"] for r in records if "stream" in r.get("xmpp", {})}
    closed = [r["xmpp"]["stream"] for r in audit.of(records, "stream-closed")]
    assert sorted(closed) == sorted(accepted)


@ROOT
def test_disk_full_continue(small_disk, backend, context):
    """Streams go on without their records, which are written when there is room again; said once."""
    proxy = small_disk("continue")
    filler = fill(proxy)
    for _ in range(12):
        assert attempt(proxy, backend, context) == "served"
    proxy.wait_log("No space left")
    assert len([line for line in proxy.log if "No space left" in line]) == 1
    os.unlink(filler)
    until(lambda: not proxy.status()["keeper"]["failing"], "the log to be written again", 20 * SLOW)
    assert attempt(proxy, backend, context) == "served"
    records = proxy.stop()
    assert len(audit.of(records, "stream-closed")) == 13


def test_unwritable_log_is_found_at_start(start, backend):
    proxy = start(backend.address, run=False, config={"audit": {"output": "file:/nonexistent/audit.log"}})
    done = proxy.cli("check")
    assert done.returncode == 1 and "/nonexistent" in done.stdout + done.stderr
    proxy.launch()
    assert proxy.process.wait(20 * SLOW) == 1


def test_verify_finds_every_tampering(start, backend, context, tmp_path):
    proxy = start(backend.address)
    for _ in range(4):
        with Client(proxy.port) as client:
            client.open()
    proxy.wait_records("stream-closed", 4)
    proxy.stop()
    good = audit.lines(proxy.audit_file)
    assert run_cli("audit", "verify", proxy.audit_file).returncode == 0
    damages = {"line removed": good[:2] + good[3:], "lines swapped": good[:1] + [good[2], good[1]] + good[3:],
               "byte changed": good[:2] + [good[2].replace(b"c2s-inbound", b"c2s-inbounD")] + good[3:],
               "line doubled": good[:2] + [good[1]] + good[2:], "first line removed": good[1:],
               "garbage": good[:2] + [b"{}"] + good[2:]}
    for name, damaged in damages.items():
        path = tmp_path / "damaged.log"
        path.write_bytes(b"".join(line + b"\n" for line in damaged))
        done = run_cli("audit", "verify", str(path))
        assert done.returncode == 1 and re.search(r"damaged\.log:\d+", done.stdout + done.stderr), (name, done)
        with pytest.raises((AssertionError, KeyError, ValueError)):
            audit.verify_chain(str(path))
    assert run_cli("audit", "verify", "/nonexistent").returncode in (1, 3)
    assert run_cli("audit", "verify").returncode == 2


def test_rotation_goes_on_with_the_chain(start, backend):
    proxy = start(backend.address)
    with Client(proxy.port) as client:
        client.open()
    proxy.wait_records("stream-closed")
    old = proxy.audit_file + ".1"
    os.rename(proxy.audit_file, old)
    proxy.process.send_signal(signal.SIGHUP)
    until(lambda: os.path.exists(proxy.audit_file) and os.path.getsize(proxy.audit_file), "the new file")
    with Client(proxy.port) as client:
        client.open()
    proxy.wait_records("stream-closed")
    proxy.process.send_signal(signal.SIGTERM)
    assert proxy.process.wait(20 * SLOW) == 0, proxy.log
    audit.verify_chain([old, proxy.audit_file])
    assert run_cli("audit", "verify", old, proxy.audit_file).returncode == 0


def test_restart_goes_on_with_the_chain(start, backend):
    proxy = start(backend.address)
    proxy.stop()
    count = len(audit.lines(proxy.audit_file))
    with open(proxy.audit_file, "ab") as file:
        file.write(b'{"@timestamp":"half a li')  # a crash of the machine
    proxy.log.clear()
    proxy.start()
    with Client(proxy.port) as client:
        client.open()
    records = proxy.stop()
    assert len(records) > count


def test_stdout(start, backend):
    proxy = start(backend.address, config={"audit": {"output": "stdout", "chain": False}})
    with Client(proxy.port) as client:
        client.open()
    until(lambda: [line for line in proxy.stdout if "stream-closed" in line], "a record on standard output")
    proxy.stop()
    records = [json.loads(line) for line in proxy.stdout]
    assert [r["event"]["action"] for r in records] == ["proxy-started", "stream-closed", "proxy-stopped"]
    assert all("audit" not in r for r in records)


def test_chain_off(start, backend):
    proxy = start(backend.address, config={"audit": {"chain": False}})
    with Client(proxy.port) as client:
        client.open()
    assert all("chain" not in r.get("audit", {}) for r in proxy.stop())


@pytest.mark.parametrize("mechanism", ["sasl", "sasl2", "iq:auth", "plaintext"])
def test_secrets_are_nowhere(start, backend, establish, context, mechanism):
    """LOG-8: not the password, not its base64, not a message's text; in no log at any level and in no answer."""
    password, canary = "S3cr3t&p\u00e4ssw0rd", "the text of a message"
    payload = wire.plain("nurse", password)
    proxy = start(backend.address, config={"log": {"level": "debug"}})
    iq = ("<iq type='set' id='1'><query xmlns='jabber:iq:auth'><username>nurse</username><password>S3cr3t&amp;p\u00e4ssw0rd</password>"
          "<resource>r</resource></query></iq>").encode()
    authenticate = (f"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>{payload}</initial-response>"
                    "</authenticate>").encode()
    if mechanism == "plaintext":
        for sent in (wire.auth(payload), iq, authenticate):
            client = Client(proxy.port)
            client.open()
            client.send(sent)
            client.to_end()
    else:
        client = Client(proxy.port).starttls(context)
        client.send(wire.header())
        server = backend.accept()
        server.greet()
        client.until(b"</stream:features>")
        if mechanism == "sasl":
            client.send(wire.auth(payload))
            server.wait_for(b"</auth>")
            server.take()
            server.send(wire.SUCCESS)
            client.send(wire.header())
            server.greet(wire.FEATURES_BIND)
            client.until(wire.limited(wire.FEATURES_BIND, 524288))
        else:
            client.send(iq if mechanism == "iq:auth" else authenticate)
            server.wait_for(b"</iq>" if mechanism == "iq:auth" else b"</authenticate>")
            server.send(b"<iq type='result' id='1'/>" if mechanism == "iq:auth" else b"<success xmlns='urn:xmpp:sasl:2'/>")
            client.until(b"/>")
        client.send(f"<message><body>{canary}</body></message>".encode())
        server.wait_for(canary.encode())
    seen = json.dumps(proxy.status()) + json.dumps(proxy.streams()) + proxy.cli("status").stdout + proxy.cli("streams").stdout
    client.drop()
    proxy.wait_records("stream-closed")
    proxy.stop()
    seen += "\n".join(proxy.log + proxy.stdout) + open(proxy.audit_file, encoding="utf-8").read()
    for secret in (password, "S3cr3t", payload, payload[8:24], base64.b64encode(password.encode()).decode().rstrip("=")[:12], canary):
        assert secret not in seen, secret
    if mechanism != "plaintext":
        assert "nurse@im.test" in seen  # the identity is said, and only that


def test_hostile_text_cannot_forge_lines(start, backend):
    """LOG-9: what a peer says is escaped wherever it is shown."""
    proxy = start(backend.address, config={"log": {"level": "debug"}})
    hostile = "a&#10;b&#x9;\u202e\u0085evil@im.test"
    client = Client(proxy.port).send(wire.header(extra=f" from='{hostile}'"))
    client.until(wire.FEATURES_STARTTLS)
    client.drop()
    proxy.wait_records("stream-closed")
    proxy.stop()
    raw = open(proxy.audit_file, encoding="utf-8").read()
    for text in [raw] + proxy.log:
        assert "\u202e" not in text and "\x1b" not in text and "\u0085" not in text
