/* SPDX-License-Identifier: MIT */
/*
 * The configuration bundle: the YAML and the bytes of every file it names in one sealed memfd. The master records while
 * it loads, a worker loads the same again from the bundle and opens no file. It holds private keys: it never has a name
 * in any file system.
 */
#ifndef PROXY_DAEMON_BUNDLE_H
#define PROXY_DAEMON_BUNDLE_H

#include "base/errbuf.h"
#include "policy/files.h"

struct bundle_recorder;

/* Reads through `below` (normally file_source_disk) and keeps each file once: a path asked for twice gives the same
 * bytes. */
struct bundle_recorder *bundle_recorder_new(const struct file_source *below);
struct file_source bundle_recorder_source(struct bundle_recorder *recorder);
/* A memfd of everything read so far, sealed against any change; -1 with err set. The caller closes it. */
int bundle_recorder_seal(struct bundle_recorder *recorder, struct errbuf *err);
/* Overwrites what it holds. */
void bundle_recorder_free(struct bundle_recorder **recorder);

struct bundle;

/* Reads a sealed bundle; fd is not kept. NULL with err set if it is no bundle, or not sealed. */
struct bundle *bundle_open(int fd, struct errbuf *err);
struct file_source bundle_source(struct bundle *bundle);
void bundle_free(struct bundle **bundle);

#endif
