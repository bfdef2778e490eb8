# SPDX-License-Identifier: MIT
# sidebus: the whole build.  No configure step; "make help" lists the targets.

O          ?= build
CC         ?= gcc
AR         ?= ar
PKG_CONFIG ?= pkg-config
PREFIX     ?= /usr/local
LIBEXECDIR ?= $(PREFIX)/libexec/sidebus
VERSION    := $(shell cat VERSION)
# make check SAN=address,undefined runs everything under the sanitizers, in its own directory.
SAN        ?=
ifneq ($(SAN),)
override O := $(O)/san
endif

PROGRAMS := sbsupervisor sbrouter sbportal sbagent sidebus-guest-generator
DIRS     := common ipc $(PROGRAMS)
# Where a program's sources lie, if not in a directory of its name.
dir-sidebus-guest-generator := systemd/generator
PKGS     := dbus-1 libsystemd libseccomp libcap-ng

# Which libraries a program may link; --as-needed drops those it does not use.
libs-sbsupervisor := libsystemd libseccomp libcap-ng
libs-sbrouter     := libseccomp libcap-ng
libs-sbportal     := libsystemd libseccomp libcap-ng
libs-sbagent      := libsystemd libseccomp libcap-ng
libs-sidebus-guest-generator :=
libs-common       := libsystemd libseccomp libcap-ng
libs-ipc          := libsystemd

# Paths of the programs the supervisor starts: Debian's, then what other distributions use.
DOCUMENT_PORTAL  ?= /usr/libexec/xdg-document-portal
PERMISSION_STORE ?= /usr/libexec/xdg-permission-store
VIRTIOFSD        ?= /usr/libexec/virtiofsd

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
            -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wimplicit-fallthrough
HARDENING := -fstack-protector-strong -fPIE -fstack-clash-protection
# clang before 16 wants a second flag for this one, and warns of it later.
ifeq ($(findstring clang,$(CC)),)
HARDENING += -ftrivial-auto-var-init=zero
endif
ifeq ($(SAN),)
OPT      := -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
else
OPT      := -O1 -g -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
WERROR   ?= $(if $(CI),-Werror)
DEFINES  := -D_GNU_SOURCE -DSIDEBUS_VERSION='"$(VERSION)"' -DSIDEBUS_LIBEXECDIR='"$(LIBEXECDIR)"' \
            -DSIDEBUS_DOCUMENT_PORTAL='"$(DOCUMENT_PORTAL)"' \
            -DSIDEBUS_PERMISSION_STORE='"$(PERMISSION_STORE)"' -DSIDEBUS_VIRTIOFSD='"$(VIRTIOFSD)"'
# Recursive on purpose: pkg-config is asked when something is compiled, not when make starts.
UNIT_DEFINES = -DSIDEBUS_SYSTEMUNITDIR='"$(SYSTEMUNITDIR)"'
PKG_CFLAGS = $(shell $(PKG_CONFIG) --cflags $(PKGS))
ALL_CFLAGS = -std=gnu11 -I. $(DEFINES) $(UNIT_DEFINES) $(OPT) $(WARNINGS) $(WERROR) $(HARDENING) $(PKG_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)
pkg-libs    = $(if $(1),$(shell $(PKG_CONFIG) --libs $(1)))

# Objects lie under obj/, beside the programs: sbrouter the program is not sbrouter/ the directory.
# Every .c of a directory but main.c is in that directory's archive; tests link the archive.
src      = $(or $(dir-$(1)),$(1))
sources  = $(filter-out $(src)/main.c,$(wildcard $(src)/*.c))
archive  = $(O)/lib$(1).a
objects  = $(patsubst %.c,$(O)/obj/%.o,$(call sources,$(1)))
SUPPORT := $(O)/libipc.a $(O)/libcommon.a

V ?=
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2);)

.PHONY: all
all: $(addprefix $(O)/,$(PROGRAMS)) ## build the programs into build/

define directory-rules
$$(call archive,$(1)): $$(call objects,$(1))
	$$(call say,AR,$$@)rm -f $$@ && $$(AR) rcs $$@ $$^
endef
$(foreach d,$(DIRS),$(eval $(call directory-rules,$(d))))

define program-rules
$$(O)/$(1): $$(O)/obj/$(src)/main.o $$(call archive,$(1)) $$(SUPPORT)
	$$(call say,LINK,$$@)$$(CC) $$(ALL_CFLAGS) $$(ALL_LDFLAGS) -o $$@ $$^ $$(call pkg-libs,$$(libs-$(1)))
endef
$(foreach p,$(PROGRAMS),$(eval $(call program-rules,$(p))))

# Another PREFIX or another compiler compiles anew: paths are built in.
$(O)/flags: export SIDEBUS_FLAGS = $(CC) $(DEFINES) $(UNIT_DEFINES) $(BINDIR) $(OPT) $(WERROR) $(CFLAGS)
$(O)/flags: FORCE
	@mkdir -p $(@D); printf '%s\n' "$$SIDEBUS_FLAGS" | cmp -s - $@ || printf '%s\n' "$$SIDEBUS_FLAGS" >$@
.PHONY: FORCE
FORCE:

$(O)/obj/%.o: %.c $(O)/flags
	$(call say,CC,$<)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# --- unit tests and fuzzers: tests/unit/DIR/test_X.c and tests/fuzz/DIR/fuzz_X.c link lib DIR ------
UNIT := $(wildcard tests/unit/*/test_*.c)
FUZZ := $(wildcard tests/fuzz/*/fuzz_*.c)
UNIT_BIN := $(patsubst tests/%.c,$(O)/tests/%,$(UNIT))
FUZZ_BIN := $(patsubst tests/%.c,$(O)/tests/%,$(FUZZ))
dir-of = $(word 3,$(subst /, ,$(1)))

define test-rules
$(patsubst tests/%.c,$(O)/tests/%,$(1)): $(O)/obj/$(1:.c=.o) $(2) $$(call archive,$(call dir-of,$(1))) $$(SUPPORT)
	$$(call say,LINK,$$@)mkdir -p $$(@D) && $$(CC) $$(ALL_CFLAGS) $$(ALL_LDFLAGS) -o $$@ $$^ $$(call pkg-libs,dbus-1 $$(libs-$(call dir-of,$(1))))
endef
$(foreach t,$(UNIT),$(eval $(call test-rules,$(t),)))
$(foreach t,$(FUZZ),$(eval $(call test-rules,$(t),$(O)/obj/tests/fuzz/replay.o)))

# A program the integration tests run as a D-Bus client or a helper: tests/rig/X.c
RIG_BIN := $(patsubst tests/rig/%.c,$(O)/tests/rig/%,$(wildcard tests/rig/*.c))
$(O)/tests/rig/%: $(O)/obj/tests/rig/%.o $(SUPPORT)
	$(call say,LINK,$@)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(call pkg-libs,dbus-1 libsystemd)

# What measures: the client, and the relay that it is compared with.
BENCH_BIN := $(O)/tests/bench/client $(O)/tests/bench/relay
$(O)/tests/bench/client: $(patsubst %.c,$(O)/obj/%.o,$(filter-out %/relay.c,$(wildcard tests/bench/*.c)))
$(O)/tests/bench/relay: $(O)/obj/tests/bench/relay.o
$(BENCH_BIN):
	$(call say,LINK,$@)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^

# Objects of programs made by a pattern rule are not by-products.
.SECONDARY:

.PHONY: tests
tests: all $(UNIT_BIN) $(FUZZ_BIN) $(RIG_BIN) $(BENCH_BIN) ## build the test programs

.PHONY: packages-build packages-demo packages-check packages-bench
packages-build packages-demo packages-check packages-bench:
	@tests/install-packages $(patsubst packages-%,%,$@)

.PHONY: demo
demo: packages-demo ## install what is missing, build, show a guest opening a host file
	@$(MAKE) --no-print-directory all
	@tests/demo $(O)

.PHONY: check
check: packages-check ## install what is missing, run every test; the last line counts them
	@$(MAKE) --no-print-directory tests $(if $(SAN),,deb) SAN=$(SAN) O=$(if $(SAN),$(patsubst %/san,%,$(O)),$(O))
	@tests/run $(O)

.PHONY: screenshot
screenshot: packages-check ## take docs/screenshot.png anew, by the VM test that makes it
	@$(MAKE) --no-print-directory tests deb
	@tests/run $(O) test_screen_picked
	cp $(O)/screenshot.png docs/screenshot.png

# --- many ends of a VM, one instance: as root, half an hour -----------------------------------------
SOAK_ROUNDS ?= 20
.PHONY: soak
soak: packages-check ## SOAK_ROUNDS reboots and kills of a VM, and documents, on one instance (root)
	@$(MAKE) --no-print-directory tests deb
	@tests/vm/soak.py $(O) $(SOAK_ROUNDS)

SOAK_SECONDS ?= 3600
.PHONY: soak-router
soak-router: packages-check ## clients of the router that come and go, for SOAK_SECONDS
	@$(MAKE) --no-print-directory tests
	@SIDEBUS_SOAK_SECONDS=$(SOAK_SECONDS) SIDEBUS_TEST_PATIENCE=$$(($(SOAK_SECONDS) / 30 + 1)) tests/run $(O) router_soak

# --- how fast the router is, beside other buses ------------------------------------------------------
BENCH ?=
.PHONY: bench
bench: packages-bench ## measure sbrouter beside dbus-broker and dbus-daemon (BENCH=--help lists options)
	@$(MAKE) --no-print-directory $(O)/sbrouter $(BENCH_BIN)
	@tests/bench/run $(O) $(BENCH)

# --- fuzzing with libFuzzer: make fuzz FUZZ_SECONDS=3600 -------------------------------------------
FUZZ_SECONDS ?= 60
.PHONY: fuzz
fuzz: ## run each fuzzer for FUZZ_SECONDS under ASan and UBSan (clang)
	@tests/fuzz/run $(FUZZ_SECONDS) $(O)

# --- static analysis -------------------------------------------------------------------------------
SOURCE_DIRS := $(foreach d,$(DIRS),$(call src,$(d)))
C_FILES := $(wildcard $(addsuffix /*.c,$(SOURCE_DIRS)))
.PHONY: tidy cppcheck format headers
tidy: ## clang-tidy over the programs
	clang-tidy --quiet $(C_FILES) -- -std=gnu11 -I. $(DEFINES) $(UNIT_DEFINES) $(PKG_CFLAGS)
cppcheck: ## cppcheck over the programs
	cppcheck --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	  --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches --quiet -I. $(DEFINES) $(UNIT_DEFINES) $(C_FILES)
headers: ## every header compiles alone
	@for h in $(wildcard $(addsuffix /*.h,$(SOURCE_DIRS))); do \
	  echo "#include \"$$h\"" | $(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) -x c -fsyntax-only - || exit 1; done

.PHONY: ipc-page
ipc-page: $(O)/tests/rig/ipc_page ## write docs/PROTOCOL.ipc.md from ipc/ipc_msg.h
	$< >docs/PROTOCOL.ipc.md
.PHONY: portals-page
portals-page: $(O)/tests/rig/portals_page ## write docs/PORTALS.md from the portal table
	$< >docs/PORTALS.md

# --- installation: the host's part and the guest's ---------------------------------------------------
INSTALL ?= install
BINDIR  ?= $(PREFIX)/bin
MANDIR  ?= $(PREFIX)/share/man
DOCDIR  ?= $(PREFIX)/share/doc
# systemd's directories are where its pkg-config file says; for a PREFIX of its own, below that.
sd-prefix     = $(if $(filter-out /usr,$(PREFIX)),$(foreach v,prefix root_prefix rootprefix,--define-variable=$v=$(PREFIX)))
sd-dir        = $(or $(shell $(PKG_CONFIG) $(sd-prefix) --variable=$(1) systemd 2>/dev/null),$(PREFIX)/lib/$(2))
USERUNITDIR   ?= $(call sd-dir,systemduserunitdir,systemd/user)
SYSTEMUNITDIR ?= $(call sd-dir,systemdsystemunitdir,systemd/system)
GENERATORDIR  ?= $(call sd-dir,systemdsystemgeneratordir,systemd/system-generators)
SYSUSERSDIR   ?= $(call sd-dir,sysusersdir,sysusers.d)
TMPFILESDIR   ?= $(call sd-dir,tmpfilesdir,tmpfiles.d)
# What 252 does not know yet: ImportCredential=.
SYSTEMD_254   ?= $(shell $(PKG_CONFIG) --atleast-version=254 libsystemd && echo yes)

UNITS       := $(patsubst systemd/%.in,$(O)/units/%,$(wildcard systemd/user/*.in systemd/system/*.in))
CREDENTIALS  = $(if $(SYSTEMD_254),ImportCredential=sidebus.*,$(subst $() ,\n,$(addprefix \
               LoadCredential=sidebus.,port connect cid connect-timeout half-close-timeout)))
$(O)/units/%: systemd/%.in $(O)/flags
	$(call say,UNIT,$@)mkdir -p $(@D) && \
	  sed -e 's|@BINDIR@|$(BINDIR)|' -e 's|@CREDENTIALS@|$(CREDENTIALS)|' $< >$@
all: $(UNITS)

# Words of INSTALLED=BUILT: what install makes is what uninstall removes.
man-pages       = $(foreach m,$(1),$(MANDIR)/man$(subst .,,$(suffix $m))/$(notdir $m)=$m)
host-programs   = $(BINDIR)/sbsupervisor=$(O)/sbsupervisor \
                  $(foreach p,sbrouter sbportal,$(LIBEXECDIR)/$p=$(O)/$p)
host-files      = $(call man-pages,$(wildcard $(foreach p,sbsupervisor sbrouter sbportal,$p/*.[58]))) \
                  $(USERUNITDIR)/sidebus@.service=$(O)/units/user/sidebus@.service \
                  $(SYSTEMUNITDIR)/sidebus@.service=$(O)/units/system/sidebus@.service
guest-programs  = $(BINDIR)/sbagent=$(O)/sbagent \
                  $(GENERATORDIR)/sidebus-guest-generator=$(O)/sidebus-guest-generator
guest-files     = $(call man-pages,$(wildcard sbagent/*.8 systemd/generator/*.8)) \
                  $(foreach u,sbagent.socket sbagent.service run-sidebus-doc.mount, \
                    $(SYSTEMUNITDIR)/$u=$(O)/units/system/$u) \
                  $(SYSUSERSDIR)/sidebus-guest.conf=systemd/sysusers.conf \
                  $(TMPFILESDIR)/sidebus-guest.conf=systemd/tmpfiles.conf \
                  $(DOCDIR)/sidebus-guest/examples/environment.conf=systemd/environment.conf
installed       = $(foreach f,$(host-programs) $(host-files) $(guest-programs) $(guest-files), \
                    $(DESTDIR)$(firstword $(subst =, ,$f)))
own-directories = $(addprefix $(DESTDIR),$(LIBEXECDIR) $(DOCDIR)/sidebus-guest/examples \
                    $(DOCDIR)/sidebus-guest)
put = $(foreach f,$(2),$(INSTALL) -D -m $(1) $(lastword $(subst =, ,$f)) $(DESTDIR)$(firstword $(subst =, ,$f)) && ):

.PHONY: install install-host install-guest uninstall
install: install-host install-guest ## install both parts below DESTDIR and PREFIX
install-host: all ## install what the host needs
	$(call put,755,$(host-programs))
	$(call put,644,$(host-files))
install-guest: all ## install what the guest needs
	$(call put,755,$(guest-programs))
	$(call put,644,$(guest-files))
uninstall: ## remove what install put there
	rm -f $(installed)
	-rmdir --ignore-fail-on-non-empty $(wildcard $(own-directories))

# --- Debian packages: $(O)/deb/*.deb -----------------------------------------------------------------
DEB_SOURCES := Makefile VERSION LICENSE README.md NEWS.md $(wildcard docs/*) $(C_FILES) \
               $(wildcard $(addsuffix /*.h,$(SOURCE_DIRS)) $(addsuffix /*.[58],$(SOURCE_DIRS)) \
                 systemd/*.* systemd/*/*.in debian/source/*) \
               $(filter-out debian/source,$(wildcard debian/*))
# The newest change, so that the same sources make the same packages.
DEB_DATE     = $(shell git log -1 --format=%ct 2>/dev/null || stat -c %Y NEWS.md)
.PHONY: deb lintian packages-deb
deb: packages-deb ## build the packages sidebus and sidebus-guest into build/deb/
	@$(MAKE) --no-print-directory $(O)/deb/stamp
$(O)/deb/stamp: $(DEB_SOURCES)
	$(call say,DEB,$(@D))rm -rf $(@D) && debian/build-in-copy $(@D) $(VERSION) $(DEB_DATE) $(DEB_SOURCES) && touch $@
lintian: deb ## what lintian says about the packages
	lintian --fail-on error,warning $(O)/deb/*.changes

.PHONY: clean help
clean: ## remove what was built (downloads under build/ too)
	@rm -rf --one-file-system $(O) 2>/dev/null || \
	  { echo 'The rest is of the VM tests, and is root'"'"'s:'; sudo rm -rf --one-file-system $(O); }
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

-include $(patsubst %.c,$(O)/obj/%.d,$(C_FILES) $(UNIT) $(FUZZ) $(wildcard tests/rig/*.c tests/bench/*.c tests/fuzz/*.c))
