# SPDX-License-Identifier: MIT
"""Peer memory as its operator meets it: `portcullis peers`, the file it is in, and what happens when that is bad."""
import contextlib
import json
import os
import pwd
import signal
import sqlite3

import pytest
from harness.client import Client
from harness.proxy import run_cli
from harness.wait import account, free_port, until

ROOT = os.geteuid() == 0


def outbound():
    return {"role": "s2s-outbound", "address": f"127.0.0.1:{free_port()}"}


@pytest.fixture
def remembering(start, backend):
    """remembering(...) -> portcullis with a listener that has peers, beside one for clients."""
    def make(run=True, **options):
        proxy = start(backend.address, run=False, **options)
        proxy.config["listeners"].append(outbound())
        for domain in proxy.config["domains"]:
            domain["backend"]["s2s"] = backend.address
        proxy.write_config()
        return proxy.start() if run else proxy
    return make


def database(proxy):
    return os.path.join(proxy.config["state-directory"], "peers.db")


def peers(proxy, *words, expect=0):
    done = proxy.cli("peers", *words)
    assert done.returncode == expect, (words, done.returncode, done.stdout, done.stderr)
    return done


def plant(proxy, *domains):
    """What sessions would have seen, put in while nobody runs."""
    with sqlite3.connect(database(proxy)) as db:
        for number, domain in enumerate(domains):
            db.execute("INSERT INTO peer (domain, service, first_seen, last_seen, tls, offered, required, direct, last_outbound,"
                       " best_version, last_version, best_method, last_method)"
                       " VALUES (?, 's2s', 1795336069, 1795336070, 1, 1, 0, 0, 1795336070, 13, 12, 'pkix', 'none')", (domain,))
            for digit, accepted in (("a", 1), ("b", 0)):
                db.execute("INSERT INTO certificate VALUES (?, 's2s', ?, ?, 'CN=x', 'CN=ca', 'xmpp.example:5269', 1895336069,"
                           " 1795336069, ?, ?)", (domain, digit * 64, "c" * 64, 1795336070 + number, accepted))
    db.close()
    if ROOT:  # the journal is root's now
        for name in os.listdir(proxy.config["state-directory"]):
            os.chown(os.path.join(proxy.config["state-directory"], name), pwd.getpwnam(account()).pw_uid, -1)


def begin_with(proxy, *domains):
    proxy.start()
    proxy.process.send_signal(signal.SIGTERM)
    assert proxy.process.wait(30) == 0
    for reader in proxy.readers:
        reader.join(5)
    proxy.log.clear()  # the next "ready" is the next program's
    plant(proxy, *domains)
    return proxy.start()


def test_usage():
    for words in ((), ("frobnicate",), ("list", "x"), ("show",), ("show", "a", "b"), ("accept", "a@b"), ("accept", "a", "d" * 63),
                  ("accept", "a", "d" * 64, "x"), ("forget", "a", "d" * 64), ("forget", "")):
        done = run_cli("peers", *words)
        assert done.returncode == 2 and done.stderr, (words, done)
    assert "accept" in run_cli("peers", "--help").stdout


def test_not_in_use(start, backend):
    proxy = start(backend.address)
    for words in (("list",), ("show", "a.example"), ("accept", "a.example"), ("forget", "a.example")):
        assert "peer memory is not in use" in peers(proxy, *words, expect=3).stderr
    assert not os.path.exists(proxy.config["state-directory"]), "nothing is kept where nothing is to be remembered"
    assert proxy.status()["memory"]["in_use"] is False
    assert "peer memory   not in use" in proxy.cli("status").stdout
    proxy.stop()
    assert "control.sock" in peers(proxy, "list", expect=3).stderr


def test_empty(remembering):
    proxy = remembering()
    assert peers(proxy, "list").stdout.startswith("DOMAIN ")
    assert json.loads(peers(proxy, "list", "--json").stdout) == {"peers": []}
    for verb in ("show", "accept", "forget"):
        assert "nothing is remembered of a.example" in peers(proxy, verb, "A.Example", expect=1).stderr
    assert json.loads(peers(proxy, "show", "a.example", "--json", expect=1).stdout) == \
        {"domain": "a.example", "known": False, "peers": []}
    memory = proxy.status()["memory"]
    assert memory == {"in_use": True, "failing": False, "remembered": 0, "observations": 0, "lost": 0}
    state = os.stat(proxy.config["state-directory"])
    assert state.st_mode & 0o777 == 0o700
    files = [os.path.join(proxy.config["state-directory"], name) for name in os.listdir(proxy.config["state-directory"])]
    assert database(proxy) in files
    for file in [os.stat(f) for f in files]:
        assert file.st_mode & 0o777 == 0o600
        assert not ROOT or file.st_uid == state.st_uid == pwd.getpwnam(account()).pw_uid


def test_list_show_accept_forget(remembering):
    proxy = begin_with(remembering(run=False), "b.example", "a.example")
    assert proxy.status()["memory"]["remembered"] == 2
    lines = peers(proxy, "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["DOMAIN", "a.example", "b.example"]
    assert lines[1].split() == ["a.example", "s2s", "1.3", "1.2", "pkix", "none", "offered", "-", "2", "2026-11-22T08:27:50Z"]
    assert peers(proxy, "show", "a.example").stdout.count("NOT ACCEPTED") == 1
    shown = json.loads(peers(proxy, "show", "a.example", "--json").stdout)
    assert [c["accepted"] for c in shown["peers"][0]["certificates"]].count(False) == 1
    assert "no certificate of that fingerprint" in peers(proxy, "accept", "a.example", "d" * 64, expect=1).stderr
    assert peers(proxy, "accept", "a.example", "sha256:" + "a" * 64).stdout.endswith("is accepted, as it was before\n")
    assert "1 were not before" in peers(proxy, "accept", "a.example").stdout
    assert "0 were not before" in peers(proxy, "accept", "a.example").stdout
    assert "NOT ACCEPTED" not in peers(proxy, "show", "a.example").stdout
    assert "NOT ACCEPTED" in peers(proxy, "show", "b.example").stdout
    assert peers(proxy, "accept", "b.example", "b" * 64).stdout == f"b.example: certificate {'b' * 64} is accepted\n"
    assert "NOT ACCEPTED" not in peers(proxy, "show", "b.example").stdout
    proxy.wait_log(r"certificates seen of a\.example are accepted")
    assert json.loads(peers(proxy, "forget", "b.example", "--json").stdout) == {"domain": "b.example", "known": True, "forgotten": 1}
    proxy.wait_log(r"b\.example is forgotten")
    peers(proxy, "show", "b.example", expect=1)
    assert proxy.status()["memory"]["remembered"] == 1


def test_many(remembering):
    """More than one page, while the keeper has other things to do."""
    domains = [f"d{number:05}.example" for number in range(3000)]
    proxy = begin_with(remembering(run=False), *domains)
    answer = json.loads(peers(proxy, "list", "--json").stdout)
    assert [p["domain"] for p in answer["peers"]] == domains


def test_keeper_killed(remembering):
    proxy = begin_with(remembering(run=False), "a.example")
    keeper = proxy.status()["keeper"]["pid"]
    os.kill(keeper, signal.SIGKILL)
    # Whoever asks meanwhile is answered by the next one.
    assert "a.example" in peers(proxy, "list").stdout
    peers(proxy, "accept", "a.example")
    assert proxy.status()["keeper"]["pid"] not in (0, keeper)
    Client(proxy.port).open()
    proxy.stop()


def start_fails(proxy, pattern):
    proxy.launch()
    assert proxy.process.wait(30) == 3, proxy.log
    proxy.wait_log(pattern)


def test_damaged_at_start(remembering):
    proxy = remembering(run=False)
    os.mkdir(proxy.config["state-directory"], 0o700)
    with open(database(proxy), "wb") as out:
        out.write(b"damaged " * 1000)
    for path in (proxy.config["state-directory"], database(proxy)) if ROOT else ():
        os.chown(path, pwd.getpwnam(account()).pw_uid, -1)
    start_fails(proxy, r"keeper cannot start: .*peers\.db: .* damaged: move it away and start again \(what is remembered is lost\)")
    os.rename(database(proxy), database(proxy) + ".bad")
    proxy.log.clear()
    proxy.start()
    assert json.loads(peers(proxy, "list", "--json").stdout) == {"peers": []}


def test_no_place_at_start(remembering):
    proxy = remembering(run=False)
    proxy.config["state-directory"] += "/sub"
    proxy.write_config()
    done = proxy.cli("check")
    assert done.returncode == 1 and "state-directory: neither" in done.stdout + done.stderr and "mkdir -p" in done.stdout + done.stderr


@pytest.mark.skipif(not ROOT, reason="another account is needed")
def test_directory_of_somebody_else(remembering):
    proxy = remembering(run=False)
    os.mkdir(proxy.config["state-directory"], 0o755)  # root's
    start_fails(proxy, r"peers\.db: Permission denied: the account that `user` names must be able to write it and its directory")
    assert any("chown" in line for line in proxy.log)


def test_reload_brings_the_first_peers(start, backend):
    proxy = start(backend.address)
    for domain in proxy.config["domains"]:
        domain["backend"]["s2s"] = backend.address
    os.mkdir(proxy.config["state-directory"])
    os.mkdir(database(proxy))
    if ROOT:
        os.chown(proxy.config["state-directory"], pwd.getpwnam(account()).pw_uid, -1)
    proxy.config["listeners"].append(outbound())
    assert "the keeper cannot take it" in proxy.reload(expect=1)
    assert proxy.status()["memory"]["in_use"] is False
    os.rmdir(database(proxy))
    proxy.reload()
    assert json.loads(peers(proxy, "list", "--json").stdout) == {"peers": []}
    proxy.config["state-directory"] += "-other"
    assert "takes a restart" in proxy.reload(expect=1)
    proxy.config["state-directory"] = proxy.config["state-directory"][:-len("-other")]
    proxy.config["listeners"].pop()
    proxy.reload()
    assert "not in use" in peers(proxy, "list", expect=3).stderr


def test_reload_while_it_fails(remembering):
    """A certificate has to be renewed and a policy relaxed also while the disk is full; that memory fails is still said."""
    proxy = begin_with(remembering(run=False), "a.example")
    for ending in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(database(proxy) + ending)
    os.mkdir(database(proxy))
    peers(proxy, "forget", "a.example", expect=3)
    proxy.wait_log(r"peer memory: .*was moved or deleted while it was in use")
    proxy.config.setdefault("policy", {})["on-certificate-change"] = "refuse"
    proxy.reload()
    assert proxy.status()["memory"]["failing"] is True
    proxy.config["policy"]["on-certificate-change"] = "warn"
    proxy.reload()
    os.rmdir(database(proxy))
    until(lambda: not proxy.status()["memory"]["failing"], "peer memory in a new file", 20)


def test_moved_away_while_it_runs(remembering):
    """The log goes on, the operator hears it once, and a new file is begun."""
    proxy = begin_with(remembering(run=False), "a.example")
    os.unlink(database(proxy))
    peers(proxy, "forget", "a.example", expect=3)
    proxy.wait_log(r"peer memory: .*was moved or deleted while it was in use")
    assert proxy.status()["memory"]["failing"] is True
    Client(proxy.port).open()
    until(lambda: not proxy.status()["memory"]["failing"], "peer memory in a new file", 20)
    assert json.loads(peers(proxy, "list", "--json").stdout) == {"peers": []}
