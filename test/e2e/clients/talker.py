#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""One slixmpp client for as long as its standard input is open: talker.py CONFIG-AS-JSON.  Each input line is JSON
{"to", "body"} to send or
{"hang-up"}; each output line is JSON {"event": ...}. With "echo" it answers every message to the sender's bare
address; with "resume" it asks for XEP-0198 and resumes; with "plain" it does without TLS; it always connects again when the connection was lost."""
import asyncio
import json
import logging
import pathlib
import sys

import slixmpp

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness.slix import UNENCRYPTED, dial  # noqa: E402


class Talker(slixmpp.ClientXMPP):
    def __init__(self, c):
        super().__init__(c["jid"], c["password"], plugin_config=UNENCRYPTED if c.get("plain") else {})
        self.c, self.leaving = c, False
        self.ca_certs = c["ca"]
        self.add_event_handler("session_start", self.started)
        self.add_event_handler("session_resumed", lambda _: self.say("resumed"))
        self.add_event_handler("sm_enabled", lambda _: self.say("resumable"))
        self.add_event_handler("message", self.message)
        self.add_event_handler("message_error", self.bounced)
        self.add_event_handler("failed_all_auth", lambda _: self.say("failed", why="authentication"))
        self.add_event_handler("disconnected", self.lost)
        if c.get("resume"):
            self.register_plugin("xep_0198")

    def say(self, event, **more):
        transport = self.transport.get_extra_info("ssl_object") if self.transport else None
        print(json.dumps({"event": event, "tls": transport.version() if transport else None, **more}), flush=True)

    def dial(self):
        dial(self, self.c.get("host", "127.0.0.1"), self.c["port"], plain=self.c.get("plain", False))

    def started(self, _):
        self.send_presence()
        self.say("online", jid=self.boundjid.full)

    def bounced(self, stanza):
        self.say("bounced", id=stanza["id"], condition=stanza["error"]["condition"], text=stanza["error"]["text"])

    def message(self, stanza):
        if stanza["type"] not in ("chat", "normal") or not stanza["body"]:
            return
        self.say("message", body=stanza["body"], sender=stanza["from"].bare)
        if self.c.get("echo"):
            self.send_message(mto=stanza["from"].bare, mbody="echo " + stanza["body"], mtype="chat")

    def lost(self, _):
        self.say("lost")
        if not self.leaving:
            asyncio.get_event_loop().call_later(self.c.get("delay", 0.2), self.dial)


async def run(c):
    loop = asyncio.get_event_loop()
    talker = Talker(c)
    talker.dial()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        if order.get("hang-up"):  # the transport, without a word
            talker.transport.abort()
            continue
        message = talker.make_message(mto=order["to"], mbody=order["body"], mtype="chat")
        message["id"] = order["body"]  # an error that comes back has lost the body
        message.send()
    talker.leaving = True
    await talker.disconnect(wait=2)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(run(json.loads(sys.argv[1])))
