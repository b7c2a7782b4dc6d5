# SPDX-License-Identifier: MIT
"""Measures: what a unit of work costs a proxy's processes. Peers take turns within a round; each figure is scaled by a
fixed piece of work done on the proxy's processor just before and just after."""
import json
import os
import statistics
import subprocess
import tempfile
import time

BINS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build/plain/bench")
PROXY_CPU, LOAD_CPU = 0, max(os.sched_getaffinity(0))


def pinned(cpu):
    return lambda: os.sched_setaffinity(0, {cpu})


class Sink:
    def __init__(self):
        self.process = subprocess.Popen([os.path.join(BINS, "sink")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        preexec_fn=pinned(LOAD_CPU))
        self.port = int(self.process.stdout.readline())

    def stop(self):
        self.process.kill()
        self.process.wait()


class Load:
    """The load generator against one peer."""

    def __init__(self, peer, tls="direct", tickets="full"):
        if not peer.direct:
            tls = "starttls"
        self.process = subprocess.Popen([os.path.join(BINS, "load"), str(peer.port), "im.test", tls, tickets], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=pinned(LOAD_CPU))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def do(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load generator ended at '{command}'")
        answer = json.loads(line)
        if answer.get("failed"):
            raise RuntimeError(f"{answer['failed']} connections failed at '{command}'")
        return answer


def calibrate():
    out = subprocess.run([os.path.join(BINS, "load"), "calibrate"], check=True, capture_output=True,
                         preexec_fn=pinned(PROXY_CPU)).stdout
    return json.loads(out)["ns"]


def settle(peer):
    """Waits until what is done after the last answer is done, and returns the processor time used so far."""
    now = peer.cpu_ns()
    while True:
        time.sleep(0.06)
        before, now = now, peer.cpu_ns()
        if sum(now.values()) - sum(before.values()) < 200000:
            return now


def spend(peer, load, command):
    """Nanoseconds of each process for one command, scaled to the reference speed; and the load generator's answer."""
    slow, before = [calibrate()], settle(peer)
    answer = load.do(command)
    after = settle(peer)
    slow.append(calibrate())
    factor = Bench.reference / statistics.mean(slow)
    return {pid: (after[pid] - before[pid]) * factor for pid in after}, answer


class Sample:
    """One figure of one peer, apart by process role where the peer has roles."""

    def __init__(self, peer, spent, units):
        self.total = sum(spent.values()) / units
        self.parts = {role: spent[pid] / units for pid, role in getattr(peer, "roles", {}).items()}


def handshakes(peer, n, command, tls="direct", tickets="full"):
    with Load(peer, tls, tickets) as load:
        load.do("stream 2 1")  # brings a ticket
        spent, answer = spend(peer, load, f"{command} {n} 8")
    wanted = n if tickets == "resume" else 0
    if answer["resumed"] != wanted:
        raise RuntimeError(f"{peer.name}: {answer['resumed']} of {n} handshakes resumed")
    return Sample(peer, spent, n * 1e3)


def talk(peer, command, streams, units, mode="echo"):
    with Load(peer) as load:
        load.do(f"open {streams} {mode}")
        spent, _ = spend(peer, load, command)
        load.do("close")
    return Sample(peer, spent, units)


class Bench:
    reference = 1.0

    # What a figure is called, its unit, and how it is taken; `less` divides the amount of work.
    CPU = {
        "handshake": ("full handshake, direct TLS", "µs", lambda p, q: handshakes(p, 1000 // q, "handshake")),
        "resumed": ("resumed handshake, direct TLS", "µs", lambda p, q: handshakes(p, 1000 // q, "handshake", "direct", "resume")),
        "stream": ("full, direct TLS, to the server's features", "µs", lambda p, q: handshakes(p, 800 // q, "stream")),
        "stream-resumed": ("resumed, direct TLS, to the server's features", "µs",
                           lambda p, q: handshakes(p, 800 // q, "stream", "direct", "resume")),
        "starttls": ("full, STARTTLS, to the server's features", "µs", lambda p, q: handshakes(p, 800 // q, "stream", "starttls")),
        "starttls-resumed": ("resumed, STARTTLS, to the server's features", "µs",
                             lambda p, q: handshakes(p, 800 // q, "stream", "starttls", "resume")),
        "messages": ("1000 messages of 256 B, 200 streams", "ms",
                     lambda p, q: talk(p, f"messages {40000 // q} 256 1", 200, 40000 // q * 1e3)),
        "echo": ("echo of 16 KiB, 8 streams, per MB relayed", "ms",
                 lambda p, q: talk(p, f"messages {24000 // q} 16384 16", 8, 24000 // q * 2 * 0.016384 * 1e6)),
        "oneway": ("one way, 8 streams, per MB", "ms",
                   lambda p, q: talk(p, f"push {24576 // q // 128 * 128} 16384", 8, 24576 // q // 128 * 128 * 0.016384 * 1e6, "sink")),
    }

    def __init__(self, kinds, pki, quick):
        self.pki, self.quick = pki, quick
        self.less = 10 if quick else 1
        self.directory = tempfile.TemporaryDirectory(prefix="portcullis-bench-")
        os.chmod(self.directory.name, 0o755)
        self.sink = Sink()
        self.kinds, self.count = kinds, 0
        self.running = {}
        Bench.reference = statistics.median(calibrate() for _ in range(9))

    def launch(self, kind):
        self.count += 1
        directory = os.path.join(self.directory.name, str(self.count))
        os.mkdir(directory)
        os.chmod(directory, 0o755)
        return kind(directory, self.pki, self.sink.port, PROXY_CPU).start()

    def start_all(self):
        for kind in self.kinds:
            self.running[kind.name] = self.launch(kind)

    def close(self):
        for peer in self.running.values():
            peer.stop()
        self.sink.stop()
        self.directory.cleanup()

    def cpu(self, key, rounds, say):
        """{peer: [Sample]}: each round asks every peer once."""
        _, _, take = self.CPU[key]
        found = {}
        for number in range(rounds):
            say(f"{key}, round {number + 1}")
            for name, peer in self.running.items():
                if key.startswith("starttls") and not peer.starttls or not peer.direct and key != "starttls":
                    continue
                found.setdefault(name, []).append(take(peer, self.less))
        return found

    def memory(self, streams, say):
        """{peer: Sample of bytes}: each in a fresh process that has served some streams before."""
        found = {}
        for kind in self.kinds:
            say(f"memory, {kind.name}")
            peer = self.launch(kind)
            many = streams if peer.direct else min(streams, 1000)
            with Load(peer) as load:
                load.do("open 20 echo")
                load.do("close")
                settle(peer)
                before = peer.pss()
                load.do(f"open {many} echo")
                settle(peer)
                # Inspected streams give their parsers back after ten to twenty silent seconds.
                time.sleep(2 if self.quick or kind.name != "portcullis" else 25)
                after = peer.pss()
                found[kind.name] = [Sample(peer, {pid: after[pid] - before[pid] for pid in after}, many)]
            peer.stop()
        return found

    def latency(self, rounds, say):
        found = {}
        seconds, streams = (1, 200) if self.quick else (5, 1000)
        for number in range(rounds):
            say(f"latency, round {number + 1}")
            for name, peer in self.running.items():
                if peer.direct:
                    with Load(peer) as load:
                        load.do(f"open {streams} echo")
                        found.setdefault(name, []).append(load.do(f"latency 4000 {seconds} 256"))
                        load.do("close")
        return found

    def syscalls(self, say):
        """{peer: (calls per message, calls per MB)}, counted by strace over all of its processes."""
        found = {}
        for name, peer in self.running.items():
            if peer.direct:
                say(f"system calls, {name}")
                found[name] = (self.traced(peer, "messages 4000 256 1", 200, 4000),
                               self.traced(peer, "messages 4000 16384 16", 8, 4000 * 2 * 0.016384))
        return found

    def traced(self, peer, command, streams, units):
        with Load(peer) as load:
            load.do(f"open {streams} echo")
            settle(peer)
            out = os.path.join(self.directory.name, "strace")
            pids = [word for pid in peer.pids for word in ("-p", str(pid))]
            tracer = subprocess.Popen(["strace", "-q", "-c", "-f", "-o", out] + pids, stderr=subprocess.DEVNULL)
            time.sleep(0.5)
            load.do(command)
            time.sleep(0.2)
            tracer.terminate()
            tracer.wait()
            load.do("close")
        with open(out, encoding="ascii") as file:
            total, = (line.split() for line in file if line.rstrip().endswith(" total"))
        return int(total[3]) / units

    def growth(self, levels, say):
        """{peer: [(streams, µs per establishment, bytes per stream, ms per 1000 messages)]}, portcullis only."""
        found = {}
        for kind in self.kinds:
            if not hasattr(kind, "stanza"):
                continue
            peer, rows, had, memory = self.launch(kind), [], 0, None
            with Load(peer) as load:
                load.do("open 20 echo")
                load.do("close")
                settle(peer)
                first = peer.pss()
                for level in levels:
                    say(f"growth, {kind.name}, {level} streams")
                    spent, _ = spend(peer, load, f"open {level - had} echo")
                    time.sleep(2)
                    memory = (sum(peer.pss().values()) - sum(first.values())) / level
                    count = max(2 * level, 20000 // self.less)
                    talked, _ = spend(peer, load, f"messages {count} 256 1")
                    rows.append((level, sum(spent.values()) / (level - had) / 1e3, memory, sum(talked.values()) / count / 1e3))
                    had = level
            peer.stop()
            found[kind.name] = rows
        return found
