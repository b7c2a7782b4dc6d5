/* SPDX-License-Identifier: MIT */
/* What load generator and sink agree on. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

/* A stream bound to the resource "sink" gets this for every so many bytes instead of an echo. */
#define ACK "<message from='juliet@im.test'><body>ok</body></message>"
#define ACK_EVERY ((size_t)262144)

#endif
