# SPDX-License-Identifier: MIT
"""Real XMPP clients, each as a process that logs in to one account and can be told to send a text. All of them insist on TLS
and check the certificate against the tests' own authority; this machine's store is not touched."""
import json
import os
import pathlib
import subprocess
import tempfile
import threading

import pytest

from .wait import PATIENCE, SLOW, until

SOURCES = pathlib.Path(__file__).resolve().parents[1] / "clients"


class Process:
    """A program that talks in lines."""

    def __init__(self, command, env=None, cwd=None):
        self.lines = []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        errors="replace", cwd=cwd, env=dict(os.environ, **(env or {})))
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        with self.process.stdout:
            for line in self.process.stdout:
                self.lines.append(line.rstrip("\n"))

    def tell(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def wait_line(self, test, what, timeout=3 * PATIENCE):
        def find():
            found = [line for line in self.lines if test(line)]
            assert found or self.process.poll() is None, f"waiting for {what}, but the client ended:\n" + "\n".join(self.lines[-30:])
            return found
        try:
            return until(find, what, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n" + "\n".join(self.lines[-30:])) from None

    def leave(self):
        try:
            self.process.stdin.close()
        except OSError:
            pass
        try:
            return self.process.wait(10 * SLOW)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def come_back(self):
        """After its connection was cut. These come by themselves; who does not says how."""

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdin.close()


class Slixmpp(Process):
    """`echo`: answers every message to the sender's bare address. `resume`: XEP-0198. `plain`: without TLS, as on the legacy
    server's own machine. prefix: the command that it runs under (netns.Namespace.prefix)."""

    def __init__(self, jid, password, port, pki, prefix=(), **options):
        settings = dict(jid=jid, password=password, port=port, ca=pki.ca, **options)
        super().__init__([*prefix, "/usr/bin/python3", str(SOURCES / "talker.py"), json.dumps(settings)])

    def events(self, name):
        found = []
        for line in list(self.lines):
            if line.startswith('{"event": "' + name + '"'):
                found.append(json.loads(line))
        return found

    def wait_event(self, name, count=1, timeout=3 * PATIENCE):
        self.wait_line(lambda _: len(self.events(name)) >= count, f"{count} times {name}", timeout)
        return self.events(name)[count - 1]

    def online(self, times=1):
        self.wait_event("online", times)

    def say(self, to, text):
        self.tell(json.dumps({"to": to, "body": text}))

    def hang_up(self):
        """Its end of the connection is gone, and nothing is said to the other."""
        self.tell(json.dumps({"hang-up": True}))

    def heard(self, text):
        self.wait_line(lambda _: [e for e in self.events("message") if e["body"] == text], f"the message {text!r}")

    def bounced(self, text):
        """The error that the message came back with: its condition and text."""
        self.wait_line(lambda _: [e for e in self.events("bounced") if e["id"] == text], f"the bounce of {text!r}")
        event = next(e for e in self.events("bounced") if e["id"] == text)
        return event["condition"], event["text"]


class Strophe(Process):
    """The example in clients/strophe_talk.c, compiled here."""

    program = None

    @classmethod
    def build(cls):
        if cls.program is None:
            cls.scratch = tempfile.TemporaryDirectory(prefix="portcullis-strophe-")
            program = os.path.join(cls.scratch.name, "strophe_talk")
            flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libstrophe"], check=True, capture_output=True, text=True)
            subprocess.run(["gcc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-o", program,
                            str(SOURCES / "strophe_talk.c"), *flags.stdout.split()], check=True, timeout=120)
            cls.program = program
        return cls.program

    def __init__(self, jid, password, port, pki):
        super().__init__([self.build(), "127.0.0.1", str(port), jid, password, pki.ca])

    def online(self, times=1):
        self.wait_line(lambda _: self.lines.count("online secured=1") >= times, f"to be online {times} times")

    def say(self, to, text):
        self.tell(f"{to} {text}")

    def heard(self, text):
        self.wait_line(lambda line: line == "message " + text, f"the message {text!r}")


class GoSendxmpp(Process):
    """One process listens; each message is sent by another, as scripts do it. It ends when the connection is lost."""


    def __init__(self, jid, password, port, pki):
        # It takes all behind the @ for the domain: no resource.
        self.options = ["go-sendxmpp", "-u", jid.partition("/")[0], "-p", password, "-j", f"127.0.0.1:{port}"]
        self.env = {"SSL_CERT_FILE": pki.ca, "SSL_CERT_DIR": "/nonexistent"}
        # Newer ones must be told that PLAIN may be used, also inside TLS.
        known = subprocess.run(["go-sendxmpp", "--help"], capture_output=True, text=True)
        self.options += ["--allow-plain"] if "--allow-plain" in known.stdout + known.stderr else []
        self.listen()

    def listen(self):
        super().__init__(self.options + ["-d", "-l"], env=self.env)

    def come_back(self):
        self.kill()
        self.listen()

    def online(self, _=1):
        # It sends its presence next; what is faster than that waits at the server.
        def settled(line):
            if "no viable authentication method" in line:
                pytest.skip("this go-sendxmpp knows no mechanism of this server: " + line)
            return "<jid>" in line
        self.wait_line(settled, "its full address")

    def say(self, to, text):
        done = subprocess.run(self.options + [to], input=text + "\n", text=True, capture_output=True, timeout=6 * PATIENCE,
                              env=dict(os.environ, **self.env))
        assert done.returncode == 0, done.stdout + done.stderr

    def heard(self, text):
        self.wait_line(lambda line: line.endswith(text), f"the message {text!r}")

    def leave(self):
        self.process.terminate()
        return super().leave()


class Screen:
    """A client that wants a terminal: it gets one of tmux, on a server of its own."""

    count = 0

    def run(self, command, env):
        Screen.count += 1
        self.home = tempfile.TemporaryDirectory(prefix="portcullis-screen-")
        self.name = f"portcullis-{os.getpid()}-{Screen.count}"
        self.env = dict(os.environ, TMUX_TMPDIR=self.home.name, HOME=self.home.name, XDG_CONFIG_HOME=self.home.name + "/.config",
                        XDG_DATA_HOME=self.home.name + "/.local/share", XDG_CACHE_HOME=self.home.name + "/.cache",
                        LC_ALL="C.UTF-8", TERM="screen", **env)
        self.env.pop("TMUX", None)
        self.prepare()
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "140", "-y", "50", command)

    def prepare(self):
        pass

    def tmux(self, *arguments):
        return subprocess.run(("tmux", "-L", self.name) + arguments, env=self.env, capture_output=True, text=True, timeout=20).stdout

    def type(self, text):
        self.tmux("send-keys", "-l", text)
        self.tmux("send-keys", "Enter")

    def text(self):
        return self.tmux("capture-pane", "-p", "-S", "-200")

    def wait_text(self, test, what, timeout=3 * PATIENCE):
        try:
            return until(lambda: test(self.text()), what, timeout, every=0.1)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text()}") from None

    def come_back(self):
        pass

    def leave(self):
        self.type("/quit")
        try:
            until(lambda: not self.tmux("list-sessions"), "the client to quit", 5, every=0.1)
        except AssertionError:
            pass
        self.kill()

    def kill(self):
        self.tmux("kill-server")
        self.home.cleanup()


class Profanity(Screen):

    def __init__(self, jid, password, port, pki):
        self.jid, self.password, self.port, self.peer = jid, password, port, None
        self.run("profanity", {"SSL_CERT_FILE": pki.ca, "SSL_CERT_DIR": "/nonexistent"})
        self.wait_text(lambda text: "Profanity" in text, "profanity's welcome")
        self.type("/reconnect 1")
        self.type(f"/connect {jid} server 127.0.0.1 port {port} tls force")
        self.wait_text(lambda text: "password" in text.lower(), "the question for the password")
        self.type(password)

    def online(self, times=1):
        # The second is said in every window, the first only in the one that a conversation hides.
        words = "logged in successfully" if times == 1 else "Connection re-established"
        self.wait_text(lambda text: text.count(words) >= max(times - 1, 1), f"to be online {times} times")

    def say(self, to, text):
        self.type(f"/msg {to} {text}")

    def heard(self, text):
        self.wait_text(lambda screen: f": {text}" in screen, f"the message {text!r}")


class Mcabber(Screen):
    """GnuTLS, and no option for an authority: it sees the tests' own in a mount namespace."""

    STORE = "/etc/ssl/certs/ca-certificates.crt"

    def __init__(self, jid, password, port, pki):
        self.settings = (f"set jid = {jid.partition('/')[0]}\nset resource = {jid.partition('/')[2]}\nset password = {password}\nset server = 127.0.0.1\nset port = {port}\nset tls = 1\n"
                         "set ssl_ignore_checks = 0\nset log_win_height = 20\nset beep_on_message = 0\n"
                         "set logging = 1\nset log_muc_conf = 0\n")
        self.run(f"unshare --mount sh -c 'mount --bind {pki.ca} {self.STORE} && exec mcabber -f $HOME/mcabberrc'", {})

    def prepare(self):
        path, self.history = os.path.join(self.home.name, "mcabberrc"), os.path.join(self.home.name, "history")
        os.mkdir(self.history, 0o700)
        with open(path, "w", encoding="utf-8") as out:
            out.write(self.settings + f"set logging_dir = {self.history}\n")
        os.chmod(path, 0o600)

    def online(self, times=1):
        self.wait_text(lambda text: text.count("status has been set: [_>o]") >= times, f"to be online {times} times")

    def say(self, to, text):
        self.type(f"/say_to {to} {text}")

    def heard(self, text):
        # The screen shows one conversation at a time; its history holds them all.
        def in_history(_):
            return any(text in path.read_text(encoding="utf-8") for path in pathlib.Path(self.history).iterdir())
        self.wait_text(in_history, f"the message {text!r}")

    def come_back(self):
        self.wait_text(lambda text: "Disconnected, reason" in text, "the news that it is cut off")
        self.type("/connect")
