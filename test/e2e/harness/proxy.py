# SPDX-License-Identifier: MIT
"""portcullis as a process: its configuration, its operator's log, its audit log, its end."""
import copy
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading

import yaml

from . import audit
from .wait import PATIENCE, SLOW, account, alive, free_port, until

BINARY = os.environ.get("PORTCULLIS", "build/plain/portcullis")
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|runtime error:|Assertion|stack smashing")


class Plain(yaml.SafeDumper):
    """Without anchors, which portcullis refuses: one list may stand in two places."""

    def ignore_aliases(self, data):
        return True


def merge(base, extra):
    for key, value in extra.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = value
    return base


def environment(**extra):
    env = dict(os.environ, LC_ALL="C.UTF-8", ASAN_OPTIONS="detect_leaks=1:strict_string_checks=1:abort_on_error=0",
               UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1", **extra)
    env.pop("NOTIFY_SOCKET", None) if "NOTIFY_SOCKET" not in extra else None
    return env


def run_cli(*arguments, timeout=30 * SLOW, **options):
    """One run of the program that ends by itself."""
    done = subprocess.run((BINARY,) + tuple(str(a) for a in arguments), capture_output=True, text=True, timeout=timeout,
                          env=environment(), stdin=subprocess.DEVNULL, **options)
    assert not SANITIZER.search(done.stderr), done.stderr
    return done


class Portcullis:
    """Two listeners: `port` (STARTTLS or direct by the first byte) and `direct_port`. Every domain has one backend."""

    def __init__(self, pki, backend, config=None, prefix=(), env=None, domains=("im.test", "other.test", "localhost"),
                 certificate=None):
        # Not below pytest's own directory: that one is closed to the account the proxy drops to.
        self.directory = tempfile.mkdtemp(prefix="portcullis-e2e-")
        os.chmod(self.directory, 0o755)
        self.audit_directory = os.path.join(self.directory, "audit")
        os.mkdir(self.audit_directory)
        os.chmod(self.audit_directory, 0o777)
        self.audit_file = os.path.join(self.audit_directory, "audit.log")
        self.socket = os.path.join(self.directory, "control.sock")
        self.port, self.direct_port = free_port(), free_port()
        self.prefix, self.env = tuple(prefix), env or {}
        self.process, self.log, self.stdout = None, [], []
        self.expect_log = []
        self.config = merge(self.defaults(pki, backend, domains, certificate or {}), copy.deepcopy(config or {}))
        self.config_file = os.path.join(self.directory, "portcullis.yaml")
        self.write_config()

    def defaults(self, pki, backend, domains, certificate):
        return {
            "workers": 2, "user": account(), "state-directory": os.path.join(self.directory, "state"),
            "listeners": [
                {"role": "c2s-inbound", "address": f"127.0.0.1:{self.port}"},
                {"role": "c2s-inbound", "address": f"127.0.0.1:{self.direct_port}", "tls": "direct"}],
            "domains": [{"name": d, "certificate": pki.path(certificate.get(d, d) + ".pem"),
                         "private-key": pki.path(certificate.get(d, d) + ".key"), "backend": {"c2s": backend}}
                        for d in domains],
            "audit": {"output": "file:" + self.audit_file},
            "admin": {"socket": self.socket},
            "limits": {"connections-per-address": 2000},
            "timeouts": {"negotiation": "20s", "authentication": "20s", "drain": "300ms"},
        }

    def write_config(self):
        with open(self.config_file, "w", encoding="utf-8") as out:
            yaml.dump(self.config, out, Dumper=Plain, sort_keys=False)

    def launch(self):
        self.log.clear()  # of an earlier run: its ready line is not this one's
        self.process = subprocess.Popen(self.prefix + (BINARY, "run", "-c", self.config_file), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(**self.env))
        self.readers = [threading.Thread(target=self.read, args=(stream, lines), daemon=True)
                        for stream, lines in ((self.process.stderr, self.log), (self.process.stdout, self.stdout))]
        for reader in self.readers:
            reader.start()
        return self

    @staticmethod
    def read(stream, lines):
        with stream:
            for line in stream:
                lines.append(line.decode("utf-8", "replace").rstrip("\n"))

    def start(self):
        self.launch()

        def is_ready():
            assert self.process.poll() is None, "portcullis ended at start:\n" + "\n".join(self.log)
            return [line for line in self.log if re.search(r"(^|[:>\s])ready$", line)]
        until(is_ready, "the ready line; log:\n" + "\n".join(self.log), 20 * SLOW)
        return self

    def wait_log(self, pattern, timeout=PATIENCE):
        return until(lambda: [line for line in self.log if re.search(pattern, line)], f"a log line like {pattern}", timeout)

    def cli(self, *arguments):
        return run_cli(*arguments, "-c", self.config_file)

    def reload(self, expect=0):
        """Writes self.config and has it taken; what the command printed, both streams."""
        self.write_config()
        done = self.cli("reload")
        assert done.returncode == expect, (done.returncode, done.stdout, done.stderr, self.log[-10:])
        return done.stdout + done.stderr

    def status(self):
        done = self.cli("status", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def counter(self, name):
        status = self.status()
        for where in (status.get("counters", {}), status):
            if name in where:
                return where[name]
        raise AssertionError(f"status has no counter {name}: {status}")

    def worker_pids(self):
        return [w["pid"] for w in self.status()["workers"]]

    def streams(self):
        done = self.cli("streams", "--json")
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        return answer["streams"] if isinstance(answer, dict) else answer

    def records(self, action=None, **fields):
        all_records = audit.records(self.audit_file)
        return audit.of(all_records, action, **fields) if action else all_records

    def wait_records(self, action, count=1, timeout=PATIENCE, **fields):
        def enough():
            found = self.records(action, **fields)
            return found if len(found) >= count else None
        return until(enough, f"{count} {action} {fields}; the log has "
                     f"{[(r['event']['action'], r['event'].get('code')) for r in self.records()][-12:]}", timeout)

    def stop(self, expect=0, timeout=30 * SLOW):
        """Drains and checks what must hold at every end. Returns the audit records."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout)
        for reader in self.readers:
            reader.join(5)
        text = "\n".join(self.log)
        assert not SANITIZER.search(text), text
        assert status == expect, f"exit status {status}, expected {expect}; log:\n{text}"
        output = str(self.config["audit"]["output"])
        if not output.startswith("file:"):
            return None
        return audit.check_invariants(output[5:], self.config["audit"].get("chain", True))

    def kill(self):
        """Whatever a failed test left behind. Workers die with the master."""
        if self.process and self.process.poll() is None:
            children = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True).stdout.split()
            self.process.kill()
            self.process.wait()
            until(lambda: not any(alive(int(pid)) for pid in children), "the children to end with the master")
        shutil.rmtree(self.directory, ignore_errors=True)
