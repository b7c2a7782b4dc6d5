/* SPDX-License-Identifier: MIT */
/*
 * Slabs of SLAB bytes, aligned to as much, so that a piece tells its slab by its address. A slab holds pieces of one
 * class; classes go up by quarters of a power of two, so that no more than a fifth of a piece is waste. What is larger
 * than the largest class gets a mapping of its own with the same head. Invariants: a slab is in its class's list
 * exactly while a piece of it is free; an empty one is unmapped unless it is among the few that are kept for the next.
 */
#include "base/slab.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define SLAB ((size_t)64 * 1024)
#define HEAD ((size_t)64)
#define CLASSES 36 /* 16, 32, 48, 64, then four to each doubling: 80, 96, 112, 128, 160 ... 16384 */
#define CLASS_MAX ((size_t)16384)
#define KEPT_MAX 16
#define LARGE_MAX (SIZE_MAX / 4)

struct piece {
	struct piece *next;
};

struct slab {
	struct slab *next, *prev; /* of those of its class with room; next also among the empty ones that are kept */
	struct piece *free;       /* given back */
	size_t size;              /* of a piece; of a mapping of its own: what can be used of it */
	size_t mapped;
	unsigned used, fresh; /* pieces in use; pieces handed out at least once */
	int class;            /* -1: a mapping of its own */
};
_Static_assert(sizeof(struct slab) <= HEAD, "the head does not hold it");

static struct slab *with_room[CLASSES];
static struct slab *kept;
static unsigned kept_count;
static size_t held;

static size_t class_size(int class)
{
	if (class < 4)
		return (size_t)16 * (size_t)(class + 1);
	return (size_t)16 * (size_t)(class % 4 + 5) << (class / 4 - 1);
}

static int class_of(size_t size)
{
	int class = 0;

	while (class_size(class) < size)
		class ++;
	return class;
}

/* Maps with the alignment of a slab: more than is needed, and what is too much goes back. */
static struct slab *map(size_t size)
{
	char *at = mmap(NULL, size + SLAB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t before;

	if (at == MAP_FAILED)
		return NULL;
	before = (SLAB - ((uintptr_t)at & (SLAB - 1))) & (SLAB - 1);
	if (before > 0)
		(void)munmap(at, before);
	(void)munmap(at + before + size, SLAB - before);
	held += size;
	struct slab *s = (struct slab *)(void *)(at + before);

	s->mapped = size;
	return s;
}

static void unmap(struct slab *s)
{
	held -= s->mapped;
	(void)munmap(s, s->mapped);
}

static struct slab *slab_of(void *ptr)
{
	return (struct slab *)(void *)((char *)ptr - ((uintptr_t)ptr & (SLAB - 1)));
}

static void link_slab(struct slab *s)
{
	s->prev = NULL;
	s->next = with_room[s->class];
	if (s->next)
		s->next->prev = s;
	with_room[s->class] = s;
}

static void unlink_slab(struct slab *s)
{
	if (s->prev)
		s->prev->next = s->next;
	else
		with_room[s->class] = s->next;
	if (s->next)
		s->next->prev = s->prev;
}

static struct slab *new_slab(int class)
{
	struct slab *s = kept;

	if (s) {
		kept = s->next;
		kept_count--;
	} else {
		s = map(SLAB);
	}
	if (!s)
		return NULL;
	*s = (struct slab){.size = class_size(class), .mapped = SLAB, .class = class};
	link_slab(s);
	return s;
}

static bool is_full(const struct slab *s)
{
	return !s->free && HEAD + (s->fresh + 1) * s->size > SLAB;
}

static void *take_piece(struct slab *s)
{
	void *at = s->free;

	if (at)
		s->free = s->free->next;
	else
		at = (char *)s + HEAD + s->fresh++ * s->size;
	s->used++;
	if (is_full(s))
		unlink_slab(s);
	return at;
}

static void *alloc_large(size_t size)
{
	size_t whole = (size + HEAD + 4095) & ~(size_t)4095;
	struct slab *s = size > LARGE_MAX ? NULL : map(whole);

	if (!s)
		return NULL;
	s->class = -1;
	s->size = whole - HEAD;
	return (char *)s + HEAD;
}

void *slab_alloc(size_t size)
{
	struct slab *s;
	int class;

	if (size > CLASS_MAX)
		return alloc_large(size);
	class = class_of(size);
	s = with_room[class] ? with_room[class] : new_slab(class);
	return s ? take_piece(s) : NULL;
}

/* Nothing is left in it. */
static void release(struct slab *s)
{
	unlink_slab(s);
	if (kept_count == KEPT_MAX) {
		unmap(s);
		return;
	}
	s->next = kept;
	kept = s;
	kept_count++;
}

void slab_free(void *ptr)
{
	struct slab *s;
	struct piece *piece = ptr;

	if (!ptr)
		return;
	s = slab_of(ptr);
	if (s->class < 0) {
		unmap(s);
		return;
	}
	assert(s->used > 0);
	if (is_full(s))
		link_slab(s);
	piece->next = s->free;
	s->free = piece;
	if (--s->used == 0)
		release(s);
}

void *slab_realloc(void *ptr, size_t size)
{
	struct slab *s;
	void *fresh;

	if (!ptr)
		return slab_alloc(size);
	s = slab_of(ptr);
	if (size <= s->size && size > s->size / 4)
		return ptr;
	fresh = slab_alloc(size);
	if (!fresh)
		return NULL;
	memcpy(fresh, ptr, size < s->size ? size : s->size);
	slab_free(ptr);
	return fresh;
}

size_t slab_held(void)
{
	return held;
}
