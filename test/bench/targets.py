# SPDX-License-Identifier: MIT
"""The targets of docs/performance.md: ratios to the best reference peer of the same run, and a few absolute ones."""
from statistics import median

import peers

BLIND, INSPECTED, PROSODY = peers.Blind.name, peers.Portcullis.name, peers.Prosody.name

# Figure of portcullis, figure of the peers, limits {mode: ratio}.
RATIOS = [
    ("full handshake, direct TLS", "handshake", "handshake", {BLIND: 0.95}),
    ("resumed handshake", "resumed", "resumed", {BLIND: 0.95}),
    ("full STARTTLS stream, to direct TLS", "starttls", "stream", {BLIND: 1.10}),
    ("resumed STARTTLS stream, to direct TLS", "starttls-resumed", "stream-resumed", {BLIND: 1.10}),
    ("small messages", "messages", "messages", {BLIND: 0.88, INSPECTED: 1.10}),
    ("bulk, echo", "echo", "echo", {BLIND: 0.85, INSPECTED: 1.6}),
    ("bulk, one way", "oneway", "oneway", {BLIND: 0.85, INSPECTED: 1.6}),
    ("memory of an idle stream", "memory", "memory", {BLIND: 0.85, INSPECTED: 1.0}),
    ("latency p50", "latency-p50", "latency-p50", {BLIND: 1.0, INSPECTED: 1.2}),
    ("latency p99", "latency-p99", "latency-p99", {BLIND: 1.0, INSPECTED: 1.2}),
]
ABSOLUTE = [("system calls per message", "calls-message", {BLIND: 8, INSPECTED: 8}),
            ("system calls per MB", "calls-mb", {BLIND: 60, INSPECTED: 150})]
SERVER = [("STARTTLS stream, to Prosody's own", "starttls", 0.3), ("memory, to Prosody's own", "memory", 0.5)]


def best(row):
    values = [median(row[name]) for name in peers.REFERENCE if name in row]
    return min(values) if values else None


def judge(results):
    """Rows of (title, value, limit, met) for whatever was measured."""
    figures, rows = results["figures"], []

    def row(title, mine, theirs, limit):
        if mine and theirs:
            ratio = median(mine) / theirs
            rows.append((title, ratio, limit, ratio <= limit))

    for title, key, other, limits in RATIOS:
        for mode, limit in limits.items():
            row(f"{title} ({'blind' if mode == BLIND else 'inspected'})", figures.get(key, {}).get(mode),
                best(figures.get(other, {})), limit)
    for title, key, limits in ABSOLUTE:
        for mode, limit in limits.items():
            row(f"{title} ({'blind' if mode == BLIND else 'inspected'})", figures.get(key, {}).get(mode), 1, limit)
    for title, key, limit in SERVER:
        theirs = figures.get(key, {}).get(PROSODY)
        row(title, figures.get(key, {}).get(INSPECTED), theirs and median(theirs), limit)
    for mode, levels in results.get("growth", {}).items():
        for column, what in ((1, "establishment"), (2, "memory"), (3, "messages")):
            row(f"{what} at {levels[-1][0]} streams to {levels[0][0]} ({mode})", [levels[-1][column]], levels[0][column], 1.1)
    return rows
