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

PROGRAMS := sbsupervisor sbrouter sbportal sbagent
DIRS     := common ipc $(PROGRAMS)
PKGS     := dbus-1 libsystemd libseccomp libcap-ng

# Which libraries a program may link; --as-needed drops those it does not use.
libs-sbsupervisor := libsystemd libseccomp libcap-ng
libs-sbrouter     := dbus-1 libseccomp libcap-ng
libs-sbportal     := libsystemd libseccomp libcap-ng
libs-sbagent      := libsystemd libseccomp libcap-ng
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
PKG_CFLAGS = $(shell $(PKG_CONFIG) --cflags $(PKGS))
ALL_CFLAGS = -std=gnu11 -I. $(DEFINES) $(OPT) $(WARNINGS) $(WERROR) $(HARDENING) $(PKG_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)
pkg-libs    = $(shell $(PKG_CONFIG) --libs $(1))

# Objects lie under obj/, beside the programs: sbrouter the program is not sbrouter/ the directory.
# Every .c of a directory but main.c is in that directory's archive; tests link the archive.
sources  = $(filter-out $(1)/main.c,$(wildcard $(1)/*.c))
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
$$(O)/$(1): $$(O)/obj/$(1)/main.o $$(call archive,$(1)) $$(SUPPORT)
	$$(call say,LINK,$$@)$$(CC) $$(ALL_CFLAGS) $$(ALL_LDFLAGS) -o $$@ $$^ $$(call pkg-libs,$$(libs-$(1)))
endef
$(foreach p,$(PROGRAMS),$(eval $(call program-rules,$(p))))

# Another PREFIX or another compiler compiles anew: paths are built in.
$(O)/flags: export SIDEBUS_FLAGS = $(CC) $(DEFINES) $(OPT) $(WERROR) $(CFLAGS)
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

# Objects of programs made by a pattern rule are not by-products.
.SECONDARY:

.PHONY: tests
tests: all $(UNIT_BIN) $(FUZZ_BIN) $(RIG_BIN) ## build the test programs

.PHONY: packages-build packages-demo packages-check
packages-build packages-demo packages-check:
	@tests/install-packages $(patsubst packages-%,%,$@)

.PHONY: demo
demo: packages-demo ## install what is missing, build, show a guest opening a host file
	@$(MAKE) --no-print-directory all
	@tests/demo $(O)

.PHONY: check
check: packages-check ## install what is missing, run every test; the last line counts them
	@$(MAKE) --no-print-directory tests SAN=$(SAN) O=$(if $(SAN),$(patsubst %/san,%,$(O)),$(O))
	@tests/run $(O)

# --- fuzzing with libFuzzer: make fuzz FUZZ_SECONDS=3600 -------------------------------------------
FUZZ_SECONDS ?= 60
.PHONY: fuzz
fuzz: ## run each fuzzer for FUZZ_SECONDS under ASan and UBSan (clang)
	@tests/fuzz/run $(FUZZ_SECONDS) $(O)

# --- static analysis -------------------------------------------------------------------------------
C_FILES := $(wildcard $(addsuffix /*.c,$(DIRS)))
.PHONY: tidy cppcheck format headers
tidy: ## clang-tidy over the programs
	clang-tidy --quiet $(C_FILES) -- -std=gnu11 -I. $(DEFINES) $(PKG_CFLAGS)
cppcheck: ## cppcheck over the programs
	cppcheck --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	  --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches --quiet -I. $(DEFINES) $(C_FILES)
headers: ## every header compiles alone
	@for h in $(wildcard $(addsuffix /*.h,$(DIRS))); do \
	  echo "#include \"$$h\"" | $(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) -x c -fsyntax-only - || exit 1; done

.PHONY: ipc-page
ipc-page: $(O)/tests/rig/ipc_page ## write docs/PROTOCOL.ipc.md from ipc/ipc_msg.h
	$< >docs/PROTOCOL.ipc.md
.PHONY: portals-page
portals-page: $(O)/tests/rig/portals_page ## write docs/PORTALS.md from the portal table
	$< >docs/PORTALS.md

# --- installation: the host's part and the guest's, programs and manual pages -----------------------
INSTALL ?= install
BINDIR  ?= $(PREFIX)/bin
MANDIR  ?= $(PREFIX)/share/man
.PHONY: install install-host install-guest uninstall
install: install-host install-guest ## install below DESTDIR and PREFIX
install-host: all ## what the host needs
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man8
	$(INSTALL) -m 755 $(O)/sbsupervisor $(DESTDIR)$(BINDIR)
	$(INSTALL) -m 755 $(O)/sbrouter $(O)/sbportal $(DESTDIR)$(LIBEXECDIR)
	$(INSTALL) -m 644 sbsupervisor/sidebus.conf.5 $(DESTDIR)$(MANDIR)/man5
	$(INSTALL) -m 644 sbsupervisor/sbsupervisor.8 sbrouter/sbrouter.8 sbportal/sbportal.8 $(DESTDIR)$(MANDIR)/man8
install-guest: all ## what the guest needs
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man8
	$(INSTALL) -m 755 $(O)/sbagent $(DESTDIR)$(BINDIR)
	$(INSTALL) -m 644 sbagent/sbagent.8 $(DESTDIR)$(MANDIR)/man8
uninstall: ## remove what install put there
	rm -f $(addprefix $(DESTDIR)$(BINDIR)/,sbsupervisor sbagent) $(DESTDIR)$(MANDIR)/man5/sidebus.conf.5 \
	  $(addprefix $(DESTDIR)$(MANDIR)/man8/,sbsupervisor.8 sbrouter.8 sbportal.8 sbagent.8)
	rm -rf $(DESTDIR)$(LIBEXECDIR)

.PHONY: clean help
clean: ## remove what was built (downloads under build/ too)
	rm -rf $(O)
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

-include $(patsubst %.c,$(O)/obj/%.d,$(C_FILES) $(UNIT) $(FUZZ) $(wildcard tests/rig/*.c tests/fuzz/*.c))
