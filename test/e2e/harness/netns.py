# SPDX-License-Identifier: MIT
"""Network namespaces as hosts: each has addresses of its own, its own resolv.conf and packet filter, and they see each other
over a bridge. Names hold our process id, so that several runs of the tests live side by side; what a run that was killed left
behind is swept away by the next one."""
import atexit
import contextlib
import ctypes
import itertools
import os
import re
import shutil
import signal
import subprocess

from .wait import alive, until

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
RUNTIME, ETC = "/run/netns", "/etc/netns"
NUMBERS = itertools.count(1)
OURS = re.compile(r"pc(\d+)-\d+-\w+")
V4, V6 = "10.90.1.{}", "fd90:1::{}"


def command(*words, text=None):
    done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr or done.stdout}"
    return done.stdout


def setns(descriptor):
    if LIBC.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Namespace:
    def __init__(self, label, nameserver=None):
        self.name = f"pc{os.getpid()}-{next(NUMBERS)}-{label}"
        self.configuration = os.path.join(ETC, self.name)
        os.makedirs(self.configuration)
        with open(os.path.join(self.configuration, "resolv.conf"), "w", encoding="ascii") as out:
            out.write(f"nameserver {nameserver}\n" if nameserver else "")
        with open(os.path.join(self.configuration, "hosts"), "w", encoding="ascii") as out:
            out.write("127.0.0.1 localhost\n::1 localhost\n")
        command("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *words):
        return command("ip", "-n", self.name, *words)

    def prefix(self):
        """What stands before a command that is to run here."""
        return ("ip", "netns", "exec", self.name)

    def check(self, *words, text=None):
        return command(*self.prefix(), *words, text=text)

    def nft(self, rules):
        self.check("nft", "-f", "-", text=rules)

    @contextlib.contextmanager
    def inside(self):
        """The calling thread is here: a socket that it makes meanwhile stays here for good."""
        with open("/proc/thread-self/ns/net", encoding="ascii") as home, \
                open(os.path.join(RUNTIME, self.name), encoding="ascii") as there:
            setns(there.fileno())
            try:
                yield self
            finally:
                setns(home.fileno())

    def close(self):
        destroy(self.name)


def processes(name):
    done = subprocess.run(("ip", "netns", "pids", name), capture_output=True, text=True, timeout=30)
    return [pid for pid in map(int, done.stdout.split()) if alive(pid)]


def destroy(name):
    """A namespace, and whatever still runs in it."""
    for pid in processes(name):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(AssertionError):
        until(lambda: not processes(name), f"the processes of {name} to end", 5)
    subprocess.run(("ip", "netns", "del", name), capture_output=True, timeout=30)
    shutil.rmtree(os.path.join(ETC, name), ignore_errors=True)


def sweep():
    """Namespaces of runs that are over."""
    names = set(os.listdir(RUNTIME) if os.path.isdir(RUNTIME) else []) | set(os.listdir(ETC) if os.path.isdir(ETC) else [])
    for name in names:
        found = OURS.fullmatch(name)
        if found and not alive(int(found[1])):
            destroy(name)


def why_not():
    """Why there can be no namespaces here; None: there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not all(shutil.which(program) for program in ("ip", "nft")):
        return "iproute2 and nftables are not installed"
    probe = subprocess.run(("ip", "netns", "add", f"pc{os.getpid()}-0-probe"), capture_output=True, text=True, timeout=30)
    destroy(f"pc{os.getpid()}-0-probe")
    return None if probe.returncode == 0 else "no network namespace can be made here: " + probe.stderr.strip()


class Network:
    """Hosts around one bridge. The bridge stands in a namespace of its own; nothing of it touches this machine's network."""

    def __init__(self, nameserver=None):
        sweep()
        self.nameserver, self.hosts = nameserver, []
        self.hub = Namespace("hub")
        atexit.register(self.close)
        self.hub.ip("link", "add", "br0", "type", "bridge")
        self.hub.ip("link", "set", "br0", "up")

    def host(self, label, *numbers):
        """A host with an IPv4 and an IPv6 address for each number. What it sends comes from the first of them."""
        host = Namespace(label, self.nameserver)
        self.hosts.append(host)
        port = f"p{len(self.hosts)}"
        command("ip", "link", "add", "eth0", "netns", host.name, "type", "veth", "peer", "name", port, "netns", self.hub.name)
        self.hub.ip("link", "set", port, "master", "br0", "up")
        for number in numbers:
            lifetime = () if number == numbers[0] else ("preferred_lft", "0")
            host.ip("addr", "add", V4.format(number) + "/24", "dev", "eth0")
            host.ip("addr", "add", V6.format(number) + "/64", "dev", "eth0", "nodad", *lifetime)
        host.ip("link", "set", "eth0", "up")
        host.addresses = [V4.format(number) for number in numbers]
        host.addresses6 = [V6.format(number) for number in numbers]
        return host

    def close(self):
        atexit.unregister(self.close)
        for namespace in self.hosts + [self.hub]:
            namespace.close()
