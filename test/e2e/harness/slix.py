#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Two real clients (slixmpp) over TLS to one port, each sending the other a message; one JSON object on standard output.
A process of its own, because slixmpp takes the event loop for itself.  slix.py CONFIG-AS-JSON"""
import asyncio
import json
import logging
import subprocess
import sys

import slixmpp


# What slixmpp must be told before it says a password without TLS.
UNENCRYPTED = {"feature_mechanisms": {f"unencrypted_{name}": True for name in ("plain", "digest", "scram", "cram")}}


def dial(client, host, port, direct=False, plain=False):
    """TLS or nothing (plain: no TLS), with either interface: since slixmpp 1.9 attributes say what may be tried."""
    if hasattr(client, "enable_direct_tls"):
        client.enable_direct_tls, client.enable_starttls, client.enable_plaintext = direct, not direct and not plain, plain
        client.connect(host, port)
    else:
        client.connect((host, port), use_ssl=direct, force_starttls=not direct and not plain, disable_starttls=direct or plain)


class Talker(slixmpp.ClientXMPP):
    def __init__(self, jid, password, peer, body, result, plain=False):
        super().__init__(jid, password, plugin_config=UNENCRYPTED if plain else {})
        self.peer, self.body, self.result = peer, body, result
        self.heard = asyncio.get_event_loop().create_future()
        self.online = asyncio.get_event_loop().create_future()
        self.add_event_handler("session_start", self.started)
        self.add_event_handler("message", self.message)
        self.add_event_handler("failed_auth", lambda _: self.fail("failed_auth"))
        self.add_event_handler("connection_failed", lambda e: self.fail(f"connection_failed {e}"))
        self.add_event_handler("ssl_invalid_chain", lambda e: self.fail(f"certificate {e}"))

    def fail(self, why):
        for future in (self.online, self.heard):
            if not future.done():
                future.set_exception(RuntimeError(why))

    async def started(self, _):
        self.send_presence()
        transport = self.transport.get_extra_info("ssl_object")
        self.result[self.boundjid.user] = {"jid": self.boundjid.full, "tls": transport.version() if transport else None,
                                           "cipher": transport.cipher()[0] if transport else None}
        if not self.online.done():
            self.online.set_result(True)

    def message(self, stanza):
        if stanza["type"] in ("chat", "normal") and not self.heard.done():
            self.heard.set_result(stanza["body"])


async def talk(c, result):
    pair = [(c["users"][0], c["users"][1]), (c["users"][1], c["users"][0])]
    talkers = [Talker(f"{me['user']}@{c['domain']}/{c.get('resource', 'e2e')}", me["password"],
                      f"{other['user']}@{c['domain']}", me["body"], result, c.get("plain", False)) for me, other in pair]
    for talker in talkers:
        talker.ca_certs = c["ca"]
        dial(talker, c.get("host", "127.0.0.1"), c["port"], c["direct"], c.get("plain", False))
    await asyncio.wait_for(asyncio.gather(*(t.online for t in talkers)), c["timeout"])
    for talker in talkers:
        talker.send_message(mto=talker.peer, mbody=talker.body, mtype="chat")
    heard = await asyncio.wait_for(asyncio.gather(*(t.heard for t in talkers)), c["timeout"])
    result["heard"] = {t.boundjid.user: h for t, h in zip(talkers, heard)}
    if c.get("hold"):  # somebody else looks at the open streams now, and closes our standard input when done
        print(json.dumps(result), flush=True)
        await asyncio.get_event_loop().run_in_executor(None, sys.stdin.read)
    await asyncio.gather(*(t.disconnect(wait=2) for t in talkers))


def pair(timeout=60, **config):
    """Runs the conversation in a process of its own; its result, or an AssertionError with what went wrong."""
    done = subprocess.run(["/usr/bin/python3", __file__, json.dumps(dict(config, timeout=timeout))], capture_output=True,
                          text=True, timeout=timeout * 3, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[0])


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    SETTINGS, RESULT = json.loads(sys.argv[1]), {}
    asyncio.run(talk(SETTINGS, RESULT))
    if not SETTINGS.get("hold"):
        print(json.dumps(RESULT), flush=True)
