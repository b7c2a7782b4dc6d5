# SPDX-License-Identifier: MIT
"""docs/guide.md keeps what it promises: every code is explained, the settings shown are the files that are tested, and its way
from monitor to enforce can be walked."""
import pathlib
import re
import subprocess

import pytest
from harness import slix, wire
from harness.client import Client
from harness.proxy import Portcullis, run_cli
from harness.snippet import reasons
from harness.wait import SLOW

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
PAIR = [{"user": "juliet", "password": "r0m30myr0m30", "body": "one"}, {"user": "romeo", "password": "c4pul3t", "body": "two"}]


def test_every_code_is_in_the_table():
    words = reasons()[1] - {"none", "closed"}
    rows = set(re.findall(r"`([a-z0-9-]+)`", "".join(re.findall(r"^\| (`[^|]*)\|", GUIDE, re.M))))
    assert len(words) > 70 and words <= rows, sorted(words - rows)


@pytest.mark.parametrize("name,comment", [("prosody.cfg.lua", "--"), ("ejabberd.yml", "#"), ("jabberd2-c2s.xml", None)])
def test_settings_are_those_of_the_files(name, comment):
    """What config/backends sets stands in the guide, comments and white space aside."""
    text = (ROOT / "config" / "backends" / name).read_text(encoding="utf-8")
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S) if comment is None else re.sub(re.escape(comment) + ".*", "", text)
    settings = [line.strip() for line in text.splitlines() if line.strip() and line.strip() != "listen:"]
    assert settings and not [line for line in settings if line not in GUIDE]


def queries(log):
    """The guide's own commands, on the log of the test."""
    found = [re.sub(r"\S*audit\.log\b", log, query) for query in re.findall(r"^jq .*?(?=\n```|\n\n)", GUIDE, re.M | re.S)]
    assert len(found) == 4
    for query in found:
        done = subprocess.run(["bash", "-o", "pipefail", "-c", query], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0 and not done.stderr, done.stderr
        yield done.stdout


def plaintext_login(proxy):
    client = Client(proxy.port)
    client.send(wire.header())
    features = client.until(b"</stream:features>")
    client.send(wire.auth())
    answer = client.until(re.compile(rb"<success[^>]*>|</stream:stream>"))
    if b"<success" in answer:
        client.send(wire.header())
        client.until(b"</stream:features>")
        client.send(wire.CLOSE)
    client.to_end()
    return features, answer


def talk_over_tls(proxy, pki):
    return slix.pair(domain="im.test", port=proxy.port, ca=pki.ca, direct=False, users=PAIR, timeout=30 * SLOW)["heard"]


def test_from_monitor_to_enforce(start, prosody, pki):
    probe = Portcullis(pki, prosody.address, config={"mode": "monitor"})
    told = run_cli("check", "-c", probe.config_file)
    probe.kill()
    if "not available" in told.stdout + told.stderr + run_cli("reload", "--help").stdout:
        pytest.skip("this version has no mode: monitor, or no reload")
    proxy = start(prosody.address, config={"mode": "monitor"})
    features, answer = plaintext_login(proxy)
    assert b"<starttls" in features and b"PLAIN" in features and b"<success" in answer
    assert talk_over_tls(proxy, pki) == {"juliet": "two", "romeo": "one"}
    proxy.wait_records("stream-closed", 3)
    refused, plain, strong, _ = queries(proxy.audit_file)
    assert refused.split(), "nothing that enforce would have refused is named"
    assert "juliet@im.test\t127.0.0.1\tPLAIN" in plain and "romeo" not in plain
    assert re.search(r"1\.3\t\S+\tjuliet@im\.test", strong) and re.search(r"1\.3\t\S+\tromeo@im\.test", strong)
    del proxy.config["mode"]
    proxy.write_config()
    done = proxy.cli("reload")
    assert done.returncode == 0, done.stderr
    features, answer = plaintext_login(proxy)
    assert features.endswith(wire.FEATURES_STARTTLS) and b"policy-violation" in answer
    assert talk_over_tls(proxy, pki) == {"juliet": "two", "romeo": "one"}


def test_queries_of_a_log_of_enforce(start, prosody, pki):
    proxy = start(prosody.address)
    plaintext_login(proxy)
    talk_over_tls(proxy, pki)
    proxy.wait_records("stream-closed", 3)
    refused, plain, strong, trouble = queries(proxy.audit_file)
    assert refused == "" and plain.split() == ["1", "127.0.0.1"] and len(strong.splitlines()) == 2
    assert "\tplaintext-auth\t" in trouble
