/* SPDX-License-Identifier: MIT */
/*
 * The schema: a row per key (name, type, offset, bounds, choices, default, one-line help). The loader, every error
 * message, the reference page and the editor's JSON Schema come from these rows.
 */
#ifndef PROXY_POLICY_SCHEMA_H
#define PROXY_POLICY_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Printed by `portcullis schema`: JSON Schema 2020-12; the KEYS section of portcullis.yaml(5) as mdoc; a commented YAML
 * file of all defaults. */
void schema_write_json(FILE *out);
void schema_write_mdoc(FILE *out);
void schema_write_sample(FILE *out);

#endif
