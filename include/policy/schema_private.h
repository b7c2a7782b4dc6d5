/* SPDX-License-Identifier: MIT */
/* The rows behind policy/schema.h, for the files of this room only: tables, and how a row is put into words. */
#ifndef PROXY_POLICY_SCHEMA_PRIVATE_H
#define PROXY_POLICY_SCHEMA_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/strbuf.h"

/* What stands at a row's offset is named behind each type. */
enum schema_type {
	SCHEMA_BOOL,         /* bool */
	SCHEMA_INT,          /* int64_t; 0 for the row's word */
	SCHEMA_SIZE,         /* int64_t, bytes */
	SCHEMA_DURATION,     /* int64_t, milliseconds */
	SCHEMA_CHOICE,       /* int */
	SCHEMA_STRING,       /* char * */
	SCHEMA_DOMAIN,       /* char *, normalised */
	SCHEMA_PATH,         /* char *, absolute; max: its longest length, 0 for any */
	SCHEMA_FILE,         /* struct config_file, read */
	SCHEMA_ADDR,         /* struct addr */
	SCHEMA_OUTPUT,       /* int, a choice or file:PATH; the absolute path as char * at `also` */
	SCHEMA_STRINGS,      /* char **, the count as size_t at `also` */
	SCHEMA_SERVERS,      /* struct addr *, HOST[@PORT] each, the count at `also` */
	SCHEMA_DOMAINS,      /* char **, the count at `also`; normalised */
	SCHEMA_CIDRS,        /* struct cidr *, the count at `also` */
	SCHEMA_PATTERN,      /* char *, a normalised domain, "*." before it for those below it */
	SCHEMA_FINGERPRINTS, /* char **, the count at `also`; "sha256:" or "spki-sha256:" and 64 lower-case digits */
	SCHEMA_TARGET,       /* char *, a host; its port as uint16_t at `also` */
	SCHEMA_DATE,         /* char *, "2027-03-31"; that day's last second as int64_t at `also`, INT64_MAX without */
	SCHEMA_BLOCK,        /* the struct of `block` */
	SCHEMA_LIST,         /* pointer to an array of it, the count at `also` */
	SCHEMA_TYPE_COUNT
};

enum schema_flag {
	SCHEMA_REQUIRED = 1 << 0,
	SCHEMA_LATER = 1 << 1,    /* not in this version: anything but null, the default, is refused */
	SCHEMA_NO_STORE = 1 << 2, /* not in struct config; only together with SCHEMA_LATER */
	SCHEMA_SECRET = 1 << 3,   /* FILE: holds a private key */
	SCHEMA_ZERO = 1 << 4,     /* 0 is allowed beside min..max */
	SCHEMA_NO_UNIX = 1 << 5,  /* ADDR: HOST:PORT only */
	SCHEMA_NOT_EMPTY = 1 << 6,
	SCHEMA_SHOWN = 1 << 7, /* the sample shows the example, not the default */
	SCHEMA_UNSET = 1 << 8, /* CHOICE: -1 where nothing is given */
	SCHEMA_NEEDED = 1 << 9 /* other keys decide whether it is required: config_check says so */
};

/* A list ends with word NULL. refusal: what the error says behind the quoted word; NULL: the word is taken. */
struct schema_choice {
	const char *word;
	int value;
	const char *refusal;
};

extern const char schema_later[]; /* "is not available in this version" */

struct schema_block;

struct schema_row {
	const char *name;
	enum schema_type type;
	unsigned flags;
	size_t offset;
	size_t also, mark, set; /* offsets, 0: none: count or path; struct config_mark; bool "was given" */
	int64_t min, max;
	const struct schema_choice *choices;
	const struct schema_block *block;
	const char *word;    /* INT: a word that means 0 */
	const char *dflt;    /* as YAML text; NULL for required rows and blocks */
	const char *example; /* where the default shows nothing */
	const char *why;     /* reason for the bounds, said when they are passed */
	const char *help;    /* one sentence, no full stop */
};

struct schema_block {
	const struct schema_row *rows;
	size_t count;
	size_t size;     /* of the struct, for LIST */
	bool marked;     /* a struct config_mark stands at its start */
	const char *key; /* of list elements: the key that opens one in the sample */
};

#define SCHEMA_KEYS_MAX 32 /* rows of one block, at most */

extern const struct schema_block schema_root;
extern const struct schema_block schema_listener;
extern const struct schema_block schema_domain;
extern const struct schema_block schema_tls;
extern const struct schema_block schema_policy;
extern const struct schema_block schema_dns;
extern const struct schema_block schema_peer;

bool schema_is_list(enum schema_type type); /* of anything, blocks too */
/* Largest first; ends with name NULL. A size may have none (""), a duration may not. */
struct schema_unit {
	const char *name;
	int64_t factor;
};
const struct schema_unit *schema_units(enum schema_type type);
bool schema_nullable(const struct schema_row *row);
/* 43200000 as "12h", 16384 as "16k": as the row's type is written. */
#define SCHEMA_NUMBER_SIZE 32
void schema_format_number(const struct schema_row *row, int64_t value, char out[SCHEMA_NUMBER_SIZE]);
/* "1 to 256", "10000 to 1g, or 0": the bounds in words. */
void schema_describe_range(const struct schema_row *row, struct strbuf *out);
/* "one of enforce", "duration, 1ms to 1d", "path of a file": what may stand there. */
void schema_describe(const struct schema_row *row, struct strbuf *out);
/* What this version refuses of the row, "" if nothing: "not available in this version: monitor". */
void schema_describe_refused(const struct schema_row *row, struct strbuf *out);
/* A value to show: the example, else the default, else "". */
const char *schema_example(const struct schema_row *row);

#endif
