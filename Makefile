# portcullis: builds out of tree, one object tree per flavour (build/plain, build/asan, build/fuzz, build/replay).
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:

VERSION := 0.1.0
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= clang
PYTHON ?= /usr/bin/python3
F ?= plain

# In the order of the design: a room may include itself and rooms before it (scripts/check-layers).
ROOMS := base xmpp policy tls net memory audit relay daemon cli
LIBROOMS := $(filter-out cli,$(ROOMS))
PKGS := libevent libssl libcrypto expat yaml-0.1 jansson libunbound sqlite3 icu-uc icu-i18n

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wformat=2 -Wundef -Wvla -Wswitch-enum -Wimplicit-fallthrough -Wcast-qual -Wwrite-strings -Werror
DEFS := -D_GNU_SOURCE -DPORTCULLIS_VERSION='"$(VERSION)"' -Iinclude
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lresolv
HARDEN := -fstack-protector-strong -fstack-clash-protection -fPIE
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

FLAGS_plain := -O2 -g -D_FORTIFY_SOURCE=2 $(HARDEN)
FLAGS_asan := -O1 -g $(SAN) -fPIE
FLAGS_fuzz := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FLAGS_replay := $(FLAGS_asan)
LINK_plain := -pie -Wl,-z,relro,-z,now,-z,noexecstack
LINK_asan := $(SAN) -pie
LINK_fuzz := -fsanitize=fuzzer,address,undefined
LINK_replay := $(LINK_asan)
CC_plain := $(CC)
CC_asan := $(CC)
CC_replay := $(CC)
CC_fuzz := $(CLANG)
CFLAGS_ALL = -std=c11 $(WARN) $(DEFS) $(PKG_CFLAGS) $(FLAGS_$(F)) $(CFLAGS)
B := build/$(F)

srcs = $(wildcard proxy/$(1)/*.c)
objs = $(patsubst %.c,$(B)/%.o,$(call srcs,$(1)))
# The archives a room may see: itself and those before it, users first.
upto = $(if $(filter $(1),$(firstword $(2))),$(1),$(call upto,$(1),$(wordlist 2,99,$(2))) $(firstword $(2)))
libs_of = $(foreach r,$(call upto,$(1),$(ROOMS)),$(B)/lib$(r).a)

UNIT_SRCS := $(wildcard test/unit/*/test_*.c)
UNIT_BINS := $(patsubst test/unit/%.c,$(B)/unit/%,$(UNIT_SRCS))
FUZZ_SRCS := $(wildcard test/fuzz/fuzz_*.c)
FUZZ_NAMES := $(patsubst test/fuzz/fuzz_%.c,%,$(FUZZ_SRCS))

.PHONY: all test check-unit check-e2e check-unit-asan check-replay asan fuzz-smoke fuzz-build bench bench-bins lint format format-check \
	install demo clean unit-bins replay-bins
all: $(B)/portcullis compile_commands.json

$(B)/portcullis: $(call objs,cli) $(foreach r,daemon relay audit memory net tls policy xmpp base,$(B)/lib$(r).a)
	@mkdir -p $(@D)
	$(CC_$(F)) $(FLAGS_$(F)) $(LINK_$(F)) -o $@ $^ $(LIBS) $(LDFLAGS)

define room_lib
$(B)/lib$(1).a: $(call objs,$(1))
	@mkdir -p $$(@D); rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach r,$(LIBROOMS),$(eval $(call room_lib,$(r))))

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC_$(F)) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# A unit test links its own room and the rooms it may see, nothing else.
define unit_rule
$(B)/unit/$(1)/%: $(B)/test/unit/$(1)/%.o $(call libs_of,$(1))
	@mkdir -p $$(@D)
	$$(CC_$$(F)) $$(FLAGS_$$(F)) $$(LINK_$$(F)) -o $$@ $$< $(call libs_of,$(1)) $$(LIBS) -lcmocka $$(LDFLAGS)
endef
$(foreach r,$(LIBROOMS),$(eval $(call unit_rule,$(r))))
.PRECIOUS: $(B)/%.o

unit-bins: $(UNIT_BINS)

# Every unit test and the transcripts, each in its own process; prints one line a program.
check-unit: unit-bins
	@scripts/run-unit $(B)/unit

check-unit-asan:
	$(MAKE) F=asan check-unit

# Fuzz targets: libFuzzer under clang; the same targets under gcc with a main of our own replay the corpus in `make test`.
$(B)/fuzz/fuzz_%: $(B)/test/fuzz/fuzz_%.o $(foreach r,net policy xmpp base,$(B)/lib$(r).a) $(if $(filter replay,$(F)),$(B)/test/fuzz/replay_main.o)
	@mkdir -p $(@D)
	$(CC_$(F)) $(FLAGS_$(F)) $(LINK_$(F)) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS) $(LDFLAGS)

replay-bins: $(patsubst %,$(B)/fuzz/fuzz_%,$(FUZZ_NAMES))
fuzz-build:
	$(MAKE) F=fuzz replay-bins
check-replay:
	$(MAKE) F=replay replay-bins
	@for n in $(FUZZ_NAMES); do build/replay/fuzz/fuzz_$$n test/fuzz/corpus/$$n; done
FUZZ_SECONDS ?= 30
fuzz-smoke: fuzz-build
	@scripts/fuzz-smoke $(FUZZ_SECONDS) $(FUZZ_NAMES)

asan:
	$(MAKE) F=asan build/asan/portcullis

check-e2e: all asan
	@scripts/run-e2e

test:
	$(MAKE) all asan
	$(MAKE) check-unit check-unit-asan check-replay
	$(MAKE) check-e2e

# The load generator and the backend of `make bench`; its options by ARGS='--quick --peers portcullis,nginx'.
BENCH_BINS := build/plain/bench/load build/plain/bench/sink
build/plain/bench/load: build/plain/test/bench/load.o build/plain/test/bench/client.o
build/plain/bench/sink: build/plain/test/bench/sink.o
$(BENCH_BINS):
	@mkdir -p $(@D)
	$(CC) $(FLAGS_plain) $(LINK_plain) -o $@ $^ -lssl -lcrypto $(LDFLAGS)
bench-bins: $(BENCH_BINS)
bench: all bench-bins
	@scripts/bench $(ARGS)

lint: compile_commands.json
	@scripts/lint

ALL_C = $(wildcard proxy/*/*.c include/*/*.h test/unit/*.[ch] test/unit/*/*.[ch] test/fuzz/*.[ch] test/bench/*.[ch])
format:
	clang-format -i $(ALL_C)
format-check:
	clang-format --dry-run --Werror $(ALL_C)

compile_commands.json: Makefile $(foreach r,$(ROOMS),$(call srcs,$(r)))
	@scripts/compile-commands $(CC) -std=c11 $(WARN) $(DEFS) $(PKG_CFLAGS) -- $(foreach r,$(ROOMS),$(call srcs,$(r))) > $@

install: all
	scripts/install '$(DESTDIR)' '$(PREFIX)' '$(SYSCONFDIR)' $(B)/portcullis

demo:
	@scripts/demo

clean:
	rm -rf build compile_commands.json

-include $(shell find build $(wildcard $(B)) -name '*.d' 2>/dev/null)
