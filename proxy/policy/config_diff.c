/* SPDX-License-Identifier: MIT */
/*
 * Comparing configurations row by row. What is not in the struct (rows without storage) cannot differ; marks are where
 * a value stood and not what it is, so they are no part of it.
 */
#include "policy/config_diff.h"

#include <stdio.h>
#include <string.h>

#include "policy/schema_private.h"

#define DOTTED_SIZE 128

static bool same_block(const struct schema_block *block, const void *a, const void *b);

static const void *at(const void *slot, size_t offset)
{
	return (const char *)slot + offset;
}

static bool same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_member_text(const void *a, const void *b, size_t offset)
{
	return same_text(*(char *const *)at(a, offset), *(char *const *)at(b, offset));
}

static bool same_file(const struct config_file *a, const struct config_file *b)
{
	if ((a->path == NULL) != (b->path == NULL) || a->len != b->len)
		return false;
	return a->secret || a->len == 0 || memcmp(a->data, b->data, a->len) == 0;
}

static bool same_addr(const struct addr *a, const struct addr *b)
{
	return a->len == 0 || b->len == 0 ? a->len == b->len : addr_equal(a, b);
}

static bool same_texts(const struct schema_row *row, const void *a, const void *b, size_t count)
{
	char *const *x = *(char *const *const *)at(a, row->offset);
	char *const *y = *(char *const *const *)at(b, row->offset);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(x[i], y[i]) != 0)
			return false;
	}
	return true;
}

static bool same_servers(const struct schema_row *row, const void *a, const void *b, size_t count)
{
	const struct addr *x = *(const struct addr *const *)at(a, row->offset);
	const struct addr *y = *(const struct addr *const *)at(b, row->offset);
	for (size_t i = 0; i < count; i++) {
		if (!addr_equal(&x[i], &y[i]))
			return false;
	}
	return true;
}

static bool same_cidrs(const struct schema_row *row, const void *a, const void *b, size_t count)
{
	const struct cidr *x = *(const struct cidr *const *)at(a, row->offset);
	const struct cidr *y = *(const struct cidr *const *)at(b, row->offset);
	for (size_t i = 0; i < count; i++) {
		if (x[i].bits != y[i].bits || memcmp(x[i].bytes, y[i].bytes, sizeof(x[i].bytes)) != 0)
			return false;
	}
	return true;
}

static bool same_blocks(const struct schema_row *row, const void *a, const void *b, size_t count)
{
	const char *x = *(const char *const *)at(a, row->offset), *y = *(const char *const *)at(b, row->offset);
	for (size_t i = 0; i < count; i++) {
		if (!same_block(row->block, x + i * row->block->size, y + i * row->block->size))
			return false;
	}
	return true;
}

static bool same_list(const struct schema_row *row, const void *a, const void *b)
{
	size_t count = *(const size_t *)at(a, row->also);
	if (count != *(const size_t *)at(b, row->also))
		return false;
	if (row->type == SCHEMA_LIST)
		return same_blocks(row, a, b, count);
	if (row->type == SCHEMA_SERVERS)
		return same_servers(row, a, b, count);
	return row->type == SCHEMA_CIDRS ? same_cidrs(row, a, b, count) : same_texts(row, a, b, count);
}

/* Where nothing need be said, saying what is the default is not the same as saying nothing. */
static bool same_bool(const struct schema_row *row, const void *a, const void *b)
{
	if (schema_nullable(row) && *(const bool *)at(a, row->set) != *(const bool *)at(b, row->set))
		return false;
	return *(const bool *)at(a, row->offset) == *(const bool *)at(b, row->offset);
}

static bool same_value(const struct schema_row *row, const void *a, const void *b)
{
	const void *x = at(a, row->offset), *y = at(b, row->offset);
	switch (row->type) {
	case SCHEMA_BOOL:
		return same_bool(row, a, b);
	case SCHEMA_INT:
	case SCHEMA_SIZE:
	case SCHEMA_DURATION:
		return *(const int64_t *)x == *(const int64_t *)y;
	case SCHEMA_CHOICE:
		return *(const int *)x == *(const int *)y;
	case SCHEMA_STRING:
	case SCHEMA_DOMAIN:
	case SCHEMA_PATTERN:
	case SCHEMA_PATH:
	case SCHEMA_DATE:
		return same_member_text(a, b, row->offset);
	case SCHEMA_TARGET:
		return *(const uint16_t *)at(a, row->also) == *(const uint16_t *)at(b, row->also) &&
		       same_member_text(a, b, row->offset);
	case SCHEMA_OUTPUT:
		return *(const int *)x == *(const int *)y && same_member_text(a, b, row->also);
	case SCHEMA_FILE:
		return same_file(x, y);
	case SCHEMA_ADDR:
		return same_addr(x, y);
	case SCHEMA_STRINGS:
	case SCHEMA_SERVERS:
	case SCHEMA_DOMAINS:
	case SCHEMA_CIDRS:
	case SCHEMA_FINGERPRINTS:
	case SCHEMA_LIST:
		return same_list(row, a, b);
	case SCHEMA_BLOCK:
		return same_block(row->block, x, y);
	case SCHEMA_TYPE_COUNT:
		break;
	}
	return false;
}

static bool same_block(const struct schema_block *block, const void *a, const void *b)
{
	for (size_t i = 0; i < block->count; i++) {
		const struct schema_row *row = &block->rows[i];
		if (!(row->flags & SCHEMA_NO_STORE) && !same_value(row, a, b))
			return false;
	}
	return true;
}

static void diff_block(const struct schema_block *block, const char *prefix, const void *a, const void *b,
		       config_diff_fn *each, void *ctx)
{
	char key[DOTTED_SIZE];
	for (size_t i = 0; i < block->count; i++) {
		const struct schema_row *row = &block->rows[i];
		if ((row->flags & SCHEMA_NO_STORE) || same_value(row, a, b))
			continue;
		(void)snprintf(key, sizeof(key), "%s%s%s", prefix, *prefix ? "." : "", row->name);
		if (row->type == SCHEMA_BLOCK)
			diff_block(row->block, key, at(a, row->offset), at(b, row->offset), each, ctx);
		else
			each(ctx, key);
	}
}

void config_diff(const struct config *before, const struct config *after, config_diff_fn *each, void *ctx)
{
	diff_block(&schema_root, "", before, after, each, ctx);
}

bool config_same_listener(const struct config_listener *a, const struct config_listener *b)
{
	return same_block(&schema_listener, a, b);
}

bool config_same_domain(const struct config_domain *a, const struct config_domain *b)
{
	return same_block(&schema_domain, a, b);
}

bool config_same_dns(const struct config_dns *a, const struct config_dns *b)
{
	return same_block(&schema_dns, a, b);
}
