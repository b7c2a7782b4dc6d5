# SPDX-License-Identifier: MIT
"""What all real servers have in common: a directory, processes, and an end."""
import os
import shutil
import socket
import subprocess
import tempfile

from .wait import free_port, until


class Server:
    """A plaintext server on a free port of loopback. `processes` end in the order in which they stand there. `edit` changes the
    configuration from what the guide says."""

    NAME = "server"

    def __init__(self, users, domain="im.test", edit=lambda text: text):
        self.users, self.domain, self.edit, self.processes = users, domain, edit, []
        self.directory = tempfile.mkdtemp(prefix=f"portcullis-{self.NAME}-")
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def log(self):
        return self.output()

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as out:
            out.write(text)
        return self.path(name)

    def run(self, *command, env=None):
        with open(self.path(f"out.{len(self.processes)}"), "wb") as out:
            self.processes.insert(0, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                                      cwd=self.directory, env=dict(os.environ, HOME=self.directory, **(env or {}))))

    def wait_port(self, port, seconds=30):
        until(lambda: self.listens(port), f"{self.NAME} to listen", seconds)

    def listens(self, port):
        assert all(p.poll() is None for p in self.processes), f"{self.NAME} ended at start:\n{self.output()[-4000:]}"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False

    def output(self):
        text = []
        for root, _, names in os.walk(self.directory):
            text += [open(os.path.join(root, name), encoding="utf-8", errors="replace").read() for name in sorted(names)
                     if name.startswith("out.") or name.endswith(".log")]
        return "\n".join(text)

    def stop(self):
        for process in self.processes:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
