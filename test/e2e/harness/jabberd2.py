# SPDX-License-Identifier: MIT
"""A real jabberd2 (2.7): router, session manager and c2s with Debian's configuration, moved to a directory of its own."""
import gzip
import os
import re
import shutil
import sqlite3

from .server import Server
from .snippet import snippet
from .wait import free_port

INSTALLED = "/etc/jabberd2"
MOVED = ("/var/run/jabberd2", "/var/log/jabberd2", "/var/lib/jabberd2", INSTALLED)


class Jabberd2(Server):
    NAME = "jabberd2"
    COMPONENTS = ("router", "sm", "c2s")

    def start(self):
        self.router_port = free_port()
        shutil.copytree(os.path.join(INSTALLED, "templates"), self.path("templates"))
        for name in ("router-users.xml", "router-filter.xml"):
            shutil.copy(os.path.join(INSTALLED, name), self.directory)
        self.database()
        for name in self.COMPONENTS:
            self.run(f"jabberd2-{name}", "-c", self.write(name + ".xml", self.component(name)))
            if name == "router":
                self.wait_port(self.router_port)
        self.wait_port(self.port)

    def component(self, name):
        with open(os.path.join(INSTALLED, name + ".xml"), encoding="utf-8") as file:
            text = re.sub(r"<!--.*?-->", "", file.read(), flags=re.S)
        for directory in MOVED:
            text = text.replace(directory, self.directory)
        text = text.replace("localhost.localdomain", self.domain).replace("<ip>0.0.0.0</ip>", "<ip>127.0.0.1</ip>")
        text = text.replace("<port>5347</port>", f"<port>{self.router_port}</port>")
        if name == "c2s":
            local = snippet("jabberd2-c2s.xml", domain=("example.com", self.domain), port=("15222", self.port))
            text, count = re.subn(r"<local>.*?</local>", lambda _: local, text, flags=re.S)
            assert count == 1
            text = self.edit(text)
        return text

    def database(self):
        with gzip.open("/usr/share/doc/jabberd2/db-setup.sqlite.gz", "rt", encoding="utf-8") as schema:
            connection = sqlite3.connect(self.path("sqlite.db"))
            connection.executescript(schema.read())
        for user, password in self.users.items():
            connection.execute("INSERT INTO authreg (username, realm, password) VALUES (?, ?, ?)", (user, self.domain, password))
            # Without this row of the session manager a login hangs without a word.
            connection.execute('INSERT INTO active ("collection-owner", "time") VALUES (?, 1)', (f"{user}@{self.domain}",))
        connection.commit()
        connection.close()
