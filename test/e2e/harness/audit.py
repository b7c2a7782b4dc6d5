# SPDX-License-Identifier: MIT
"""The audit log read back, and its chain checked by the contract's words alone (nothing shared with the program)."""
import collections
import hashlib
import json

MARK = b',"chain":"'


def lines(path):
    with open(path, "rb") as file:
        data = file.read()
    assert data == b"" or data.endswith(b"\n"), "the last line of the audit log is not whole"
    return data.split(b"\n")[:-1]


def records(path):
    """As far as the file is whole now: for looking while the proxy runs."""
    with open(path, "rb") as file:
        data = file.read()
    return [json.loads(line) for line in data[:data.rfind(b"\n") + 1].splitlines()]


def verify_chain(paths):
    """C(n) = SHA-256(C(n-1) || the bytes of line n before `,"chain":"`), C(0) = 32 zero bytes, seq from 1 without gap."""
    link, seq, total = bytes(32), 0, 0
    for path in [paths] if isinstance(paths, (str, bytes)) else paths:
        for number, line in enumerate(lines(path), 1):
            where = f"{path}:{number}"
            head, mark, tail = line.rpartition(MARK)
            assert mark, f"{where}: no chain member"
            assert len(tail) == 67 and tail.endswith(b'"}}'), f"{where}: chain is not the last member of audit, the last of the record"
            record = json.loads(line)
            assert list(record)[-1] == "audit" and list(record["audit"])[-1] == "chain", where
            if number == 1 and seq:
                assert record["event"]["action"] == "checkpoint", f"{where}: a rotated file begins with a checkpoint"
                assert record["audit"]["previous"] == link.hex(), f"{where}: previous"
            seq += 1
            assert record["audit"]["seq"] == seq, f"{where}: seq {record['audit']['seq']}, expected {seq}"
            link = hashlib.sha256(link + head).digest()
            assert tail[:64].decode() == link.hex(), f"{where}: chain broken"
            total += 1
    return total


def of(all_records, action, **fields):
    found = [r for r in all_records if r["event"]["action"] == action]
    for name, value in fields.items():
        found = [r for r in found if get(r, name.replace("__", ".")) == value]
    return found


def get(record, dotted):
    for part in dotted.split("."):
        if not isinstance(record, dict) or part not in record:
            return None
        record = record[part]
    return record


def empty_members(value, path=""):
    """Paths of members that are empty: the contract leaves out what does not apply."""
    if isinstance(value, dict):
        if not value:
            yield path
        for key, inner in value.items():
            yield from empty_members(inner, f"{path}.{key}")
    elif value in ("", None, []):
        yield path


def check_invariants(path, chain=True):
    """What holds for every log of a proxy that ended well. Returns the records."""
    if chain:
        verify_chain(path)
    all_records = [json.loads(line) for line in lines(path)]
    ids = collections.Counter(r["event"]["id"] for r in all_records if "id" in r["event"])
    assert not [i for i, n in ids.items() if n > 1], "a record is in the log twice"
    for r in all_records:
        assert r["event"]["kind"] == "event" and r["event"]["category"] == ["network"], r
        assert r["event"]["outcome"] in ("success", "failure", "unknown"), r
        assert r["event"]["severity"] in (0, 1, 2, 3), r
        assert r["event"]["outcome"] == "success" or r["event"].get("reason"), f"not success, and no reason: {r}"
        assert r["@timestamp"].endswith("Z") and len(r["@timestamp"]) == 27, r
        assert not list(empty_members(r)), f"empty members {list(empty_members(r))} in {r}"
    closed = collections.Counter(r["xmpp"]["stream"] for r in all_records if r["event"]["action"] == "stream-closed")
    assert not [s for s, n in closed.items() if n > 1], "a stream has more than one stream-closed"
    return all_records
