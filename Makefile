# One Makefile for everything; no recursion but for the sanitizer build, which is this file with SAN=1.
#
#   make            both programs, in build/
#   make check      everything that can fail: lint, unit tests (plain and ASan+UBSan), fuzz corpora, lab tests
#   make demo       both boxes and a real bridge on this machine, ready to join from a browser
#   make fuzz       fuzz targets built with libFuzzer;  FUZZ_SECONDS=300 make fuzz-run runs each that long
#   make deb        Debian packages stile-core and stile-edge, in build/deb
#   make bench san lint install clean

BUILD   ?= build
JOBS    ?= -j$(shell nproc)
PREFIX  ?= /usr/local
VERSION := 0.1.0

CC      ?= gcc
CLANG   ?= clang
OPT     ?= -O2 -g
WARN    := -Wall -Wextra -Werror -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
           -Wpointer-arith -Wwrite-strings -Wvla -Wformat=2 -Wundef \
           -Wno-format-truncation # messages for people are cut to their buffer on purpose
HARDEN  := -fstack-protector-strong -fstack-clash-protection -fPIE -D_FORTIFY_SOURCE=2
LDHARD  := -pie -Wl,-z,relro,-z,now,-z,noexecstack
# libev's watchers are cast to their common base, which strict aliasing does not allow.
BASE    := -std=gnu11 -D_GNU_SOURCE -I. -fno-strict-aliasing -MMD -MP -DSTILE_VERSION='"$(VERSION)"'
LIBS    := -lev -lssh2 -lnghttp2 -lssl -lcrypto -ljansson -lcares -lsystemd -lcap -lseccomp -lsqlite3 -lm

ifeq ($(SAN),1)
OPT     := -O1 -g -fno-omit-frame-pointer
HARDEN  := -fPIE
SANFL   := -fsanitize=address,undefined -fno-sanitize-recover=all
endif
CFLAGS  += $(OPT) $(BASE) $(WARN) $(HARDEN) $(SANFL)
LDFLAGS += $(LDHARD) $(SANFL)

src      = $(sort $(wildcard $(1)/*.c $(1)/*/*.c))
ADMIN   := $(call src,common/admin)
COMMON  := $(filter-out $(ADMIN),$(call src,common))
PROTO   := $(call src,proto)
EDGE    := $(filter-out edge/main.c,$(call src,edge))
CORE    := $(filter-out core/main.c,$(call src,core))
UNIT    := $(sort $(wildcard tests/unit/test_*.c))
FUZZ    := $(sort $(wildcard tests/fuzz/fuzz_*.c))

obj      = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
ARCHIVES := $(BUILD)/libedge.a $(BUILD)/libcore.a $(BUILD)/libadmin.a $(BUILD)/libproto.a $(BUILD)/libcommon.a
UNITBIN := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(UNIT))
FUZZBIN := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(FUZZ))
BENCHLIB := tests/bench/bench.c tests/bench/turn_client.c
BENCHBIN := $(BUILD)/bench/turn_load $(BUILD)/bench/turn_bare $(BUILD)/bench/turn_allocations $(BUILD)/bench/web_connections
LABBIN  := $(patsubst tests/lab/%.c,$(BUILD)/tests/lab/%,$(sort $(wildcard tests/lab/*.c)))
REPLAY  := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/replay/%,$(FUZZ))
PROGRAMS := $(foreach p,edge core,$(if $(wildcard $(p)/main.c),$(BUILD)/stile-$(p)))

all: $(ARCHIVES) $(PROGRAMS)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -c -o $@ $<

# The admin page and the schemas of answers are put into the programs as they are.
PAGE := $(wildcard common/admin/page/* common/admin/page/*/*)
$(BUILD)/gen/page.c: common/admin/embed.sh $(PAGE)
	@mkdir -p $(@D)
	common/admin/embed.sh common/admin/page > $@.new && mv $@.new $@
$(BUILD)/obj/page.o: $(BUILD)/gen/page.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -c -o $@ $<
$(BUILD)/obj/common/admin/admin_openapi.o: common/admin/answers.json

$(BUILD)/libcommon.a: $(call obj,$(COMMON))
$(BUILD)/libadmin.a: $(call obj,$(ADMIN)) $(BUILD)/obj/page.o
$(BUILD)/libproto.a: $(call obj,$(PROTO))
$(BUILD)/libedge.a: $(call obj,$(EDGE))
$(BUILD)/libcore.a: $(call obj,$(CORE))
$(BUILD)/%.a:
	@mkdir -p $(@D) && rm -f $@
	$(AR) crs $@ $^

$(BUILD)/stile-edge: $(BUILD)/obj/edge/main.o $(BUILD)/libedge.a $(BUILD)/libadmin.a $(BUILD)/libproto.a $(BUILD)/libcommon.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
$(BUILD)/stile-core: $(BUILD)/obj/core/main.o $(BUILD)/libcore.a $(BUILD)/libadmin.a $(BUILD)/libproto.a $(BUILD)/libcommon.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

# Tests --------------------------------------------------------------------------------------------------

$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $< $(ARCHIVES) $(ARCHIVES) -lcheck -lsubunit -lrt -lpthread $(LIBS)

$(BUILD)/tests/replay/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/obj/tests/fuzz/replay.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $< $(BUILD)/obj/tests/fuzz/replay.o $(ARCHIVES) $(ARCHIVES) $(LIBS)

# What the lab needs beside the programs: its own clients and attackers.
$(BUILD)/tests/lab/%: $(BUILD)/obj/tests/lab/%.o $(BUILD)/libproto.a $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

# Boxes that speak another control protocol, as those of other releases: $(BUILD)/protocol3/stile-core
SPEAKERS_edge := edge/main.c edge/join.c edge/tunnel/control.c proto/ctl_msg.c
SPEAKERS_core := core/main.c core/pairing/edges.c core/tunnel/core_control.c proto/ctl_msg.c
$(BUILD)/protocol%/stile-edge: $(SPEAKERS_edge) $(ARCHIVES)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -DCTL_PROTOCOL=$* $(LDFLAGS) -o $@ $(SPEAKERS_edge) $(BUILD)/libedge.a $(BUILD)/libadmin.a $(BUILD)/libproto.a $(BUILD)/libcommon.a $(LIBS)
$(BUILD)/protocol%/stile-core: $(SPEAKERS_core) $(ARCHIVES)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -DCTL_PROTOCOL=$* $(LDFLAGS) -o $@ $(SPEAKERS_core) $(BUILD)/libcore.a $(BUILD)/libadmin.a $(BUILD)/libproto.a $(BUILD)/libcommon.a $(LIBS)

unit-build: $(UNITBIN) $(REPLAY)
lab-build: $(LABBIN) bench-build

deps:
	@packaging/deps all

check:
	@packaging/deps check
	$(MAKE) $(JOBS) BUILD=$(BUILD) all lab-build
	$(MAKE) $(JOBS) BUILD=$(BUILD)/san SAN=1 unit-build
	tests/run $(BUILD)

lint: all
	@set -e; for l in tests/lint/*.sh; do BUILD=$(BUILD) $$l; done

san:
	$(MAKE) $(JOBS) BUILD=$(BUILD)/san SAN=1 all unit-build
	tests/run --unit $(BUILD)/san

FUZZ_SECONDS ?= 300
FUZZFLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
fuzz:
	$(MAKE) $(JOBS) BUILD=$(BUILD)/fuzzobj CC=$(CLANG) OPT="$(FUZZFLAGS)" HARDEN=-fPIE \
	    LDFLAGS="-fsanitize=fuzzer,address,undefined" WARN=-Wall FUZZOUT=$(BUILD)/fuzz fuzz-link
fuzz-link: $(patsubst tests/fuzz/%.c,$(FUZZOUT)/%,$(FUZZ))
$(FUZZOUT)/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $< $(ARCHIVES) $(ARCHIVES) $(LIBS)
fuzz-run: fuzz
	tests/fuzz/run $(BUILD) $(FUZZ_SECONDS)

bench: deps all bench-build
	tests/bench/run $(BUILD)
bench-build: $(BENCHBIN)
$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(call obj,$(BENCHLIB)) $(ARCHIVES)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $< $(call obj,$(BENCHLIB)) $(BUILD)/libproto.a $(BUILD)/libcommon.a $(LIBS)

demo:
	@packaging/deps demo
	@$(MAKE) -s $(JOBS) BUILD=$(BUILD) all
	@tests/demo/demo $(BUILD)

UNITDIR   ?= $(PREFIX)/lib/systemd/system
APPARMORDIR ?= /etc/apparmor.d
install: all
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/sbin $(BUILD)/stile-edge $(BUILD)/stile-core
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man8 docs/man/stile-core.8 docs/man/stile-edge.8
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man5 docs/man/stile.json.5
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/stile LICENSE
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/stile packaging/stile.schema.json
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/stile/prometheus packaging/prometheus/*.yml
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/stile/grafana packaging/grafana/stile.json
	install -D -m 644 packaging/systemd/stile-sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/stile.conf
	install -D -m 644 packaging/systemd/stile-tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/stile.conf
	install -D -m 644 -t $(DESTDIR)$(UNITDIR) packaging/systemd/*.service packaging/systemd/*.path
	install -D -m 644 -t $(DESTDIR)$(APPARMORDIR) packaging/apparmor/stile-core packaging/apparmor/stile-edge
	install -D -m 644 packaging/completion/stile $(DESTDIR)$(PREFIX)/share/bash-completion/completions/stile-core
	install -D -m 644 packaging/completion/stile $(DESTDIR)$(PREFIX)/share/bash-completion/completions/stile-edge
	sed -i 's|@sbindir@|$(PREFIX)/sbin|' $(DESTDIR)$(UNITDIR)/stile-core.service $(DESTDIR)$(UNITDIR)/stile-edge.service

# Debian packages, in $(BUILD)/deb. debian/ is only there: in this tree it is packaging/debian.
DEBTREE := $(BUILD)/deb/stile-$(VERSION)
deb: all
	rm -rf $(BUILD)/deb && mkdir -p $(DEBTREE)
	cp -a common core docs edge packaging proto Makefile README.md CHANGELOG.md LICENSE $(DEBTREE)
	mv $(DEBTREE)/packaging/debian $(DEBTREE)/debian
	cd $(DEBTREE) && STILE_BUILD=$(abspath $(BUILD)) dpkg-buildpackage -us -uc -b

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
.PHONY: all check unit-build lab-build deps lint san fuzz fuzz-link fuzz-run bench bench-build demo install deb clean
.SECONDARY:
