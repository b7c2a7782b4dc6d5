# SPDX-License-Identifier: MIT
"""docs/federation.md keeps what it promises: the settings shown are the files that are tested, the rules are those of the
laboratory, the examples pass `check`, the commands run, and every code in its tables exists."""
import pathlib
import re
import subprocess

import pytest
import yaml

from harness.gateway import REDIRECT, peer
from harness.legacy import Legacy
from harness.snippet import reasons

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "federation.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name, comment", [("prosody-s2s.cfg.lua", "--"), ("ejabberd-s2s.yml", "#"), ("jabberd2-s2s.xml", None)])
def test_settings_are_those_of_the_files(name, comment):
    text = (ROOT / "config" / "backends" / name).read_text(encoding="utf-8")
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S) if comment is None else re.sub(re.escape(comment) + ".*", "", text)
    settings = [line.strip() for line in text.splitlines() if line.strip() and line.strip() != "listen:"]
    assert settings and not [line for line in settings if line not in GUIDE]


def test_the_rules_are_those_of_the_laboratory():
    rule = next(line.strip() for line in REDIRECT.splitlines() if "redirect" in line)
    assert rule.format(account="portcullis") in GUIDE


def test_codes_and_texts_exist():
    """Every code in the tables of refusals, and every text that a server is said to hear."""
    source, words = reasons()
    refusals = GUIDE[GUIDE.index("## What the refusals mean"):GUIDE.index("## Peer memory")]
    rows = re.findall(r"^\|([^|]*)\|([^|]*)\|", refusals, re.M)
    codes = {code for _, codes in rows for code in re.findall(r"`([a-z0-9-]+)`", codes)}
    assert len(codes) > 15 and codes <= words, sorted(codes - words)
    texts = {text.removesuffix(" \u2026") for told, _ in rows for text in re.findall(r'"([^"]+)"', told)}
    assert len(texts) > 10 and not [text for text in texts if text not in source], texts


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", GUIDE, re.M | re.S)


def test_the_examples_pass_check(gateway, pki):
    """The peers of the guide in a configuration of the test's own, and its first example with the test's certificates."""
    examples = [yaml.safe_load(block) for block in blocks("yaml")]
    rules = next(example["peers"] for example in examples if "peers" in example)
    for rule in rules:
        rule["fingerprints"] = [re.sub(r":.*", ":" + "3b" * 32, text) for text in rule.get("fingerprints", [])]
        if "ca-file" in rule.get("tls", {}):
            rule["tls"]["ca-file"] = pki.ca
        rule["until"] = str(rule["until"]) if "until" in rule else None
        for empty in [name for name, value in rule.items() if not value]:
            del rule[empty]
    proxy = gateway(rules, run=False)
    done = proxy.cli("check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "*.school.example" in done.stdout and "2027-08-31" in done.stdout


def test_the_queries_run(gateway, remote, zoo):
    server = remote(certificate=lambda domain: zoo.get(domain.removesuffix(".zoo.test")))
    proxy = gateway([peer("*.zoo.test", server)])
    Legacy(proxy.outbound).open("dns-id.zoo.test").close()
    Legacy(proxy.outbound).begin("expired.zoo.test").refused("remote-unverified")
    proxy.wait_records("stream-closed", 2)
    found = [re.sub(r"\baudit\.log\b", proxy.audit_file, block.strip()) for block in blocks("") if block.startswith("jq ")]
    assert len(found) == 3
    said = []
    for query in found:
        done = subprocess.run(["bash", "-o", "pipefail", "-c", query], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0 and not done.stderr, done.stderr
        said.append(done.stdout)
    assert "DNS-ID dns-id.zoo.test" in said[0] and said[1] == "" and "remote-unverified\tim.test\texpired.zoo.test" in said[2]
