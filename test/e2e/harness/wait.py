# SPDX-License-Identifier: MIT
"""Waiting for conditions with deadlines, ports, and what /proc says of a process."""
import collections
import os
import pwd
import socket
import time

# The sanitized program is several times slower; a deadline is only ever reached by a failing test.
SLOW = 4 if os.environ.get("PORTCULLIS_FLAVOUR") == "asan" else 1
PATIENCE = 10 * SLOW
TICKS = os.sysconf("SC_CLK_TCK")


def until(condition, what, timeout=PATIENCE, every=0.02):
    """Returns the condition's first true value; fails loudly at the deadline."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout:g} s for {what}; last value {value!r}")
        time.sleep(every)


def free_port(given=collections.deque(maxlen=200)):
    """One that nobody has now, and that was not given lately: who asked for it may not listen yet."""
    while True:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        if port not in given:
            given.append(port)
            return port


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat", encoding="ascii").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_bytes(pid):
    for line in open(f"/proc/{pid}/status", encoding="ascii"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def status_field(pid, name):
    for line in open(f"/proc/{pid}/status", encoding="ascii"):
        if line.startswith(name + ":"):
            return line.split(":", 1)[1].split()
    return None


def alive(pid):
    try:
        return open(f"/proc/{pid}/stat", encoding="ascii").read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def account():
    """The account that the proxy is to drop to: only root can drop to one."""
    return "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
