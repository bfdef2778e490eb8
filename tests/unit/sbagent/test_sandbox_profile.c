/* SPDX-License-Identifier: MIT */
#include "sbagent/sandbox_profile.h"

#include <netinet/in.h>

#include "common/limits.h"
#include "tests/confined_alone.h"

/* What others may, this program may not. */
static const struct confined_call killed[] = {
        FORBIDDEN(socket, AF_BLUETOOTH, SOCK_RAW),
        FORBIDDEN(getsockopt, -1, IPPROTO_TCP),
        FORBIDDEN(setsockopt, -1, IPPROTO_TCP),
        FORBIDDEN(recvmsg, -1),
        FORBIDDEN(dup3, 0, 1),
        FORBIDDEN(fchmodat, AT_FDCWD, PATH_ARG("/nonexistent")),
};

static const struct confined_call works[] = {
        ALLOWED(write, STDERR_FILENO, PATH_ARG(""), 0),
        ALLOWED(read, STDIN_FILENO, 0, 0),
        ALLOWED(fcntl, STDERR_FILENO, F_GETFL),
        ALLOWED(brk, 0),
        ALLOWED(mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1),
        ALLOWED(socket, AF_UNIX, SOCK_STREAM),
};

static void test_everywhere(void) {
        confined_check_killed(&sbagent_profile, confined_everywhere,
                              ELEMENTSOF(confined_everywhere));
}

static void test_killed(void) {
        confined_check_killed(&sbagent_profile, killed, ELEMENTSOF(killed));
}

static void test_works(void) {
        confined_check_works(&sbagent_profile, works, ELEMENTSOF(works));
}

static void test_numbers(void) {
        confined_check_count(&sbagent_profile, 48);
        confined_check_numbers(&sbagent_profile);
        confined_check_architectures(&sbagent_profile);
}

static void test_families(void) {
        confined_check_families(&sbagent_profile, UINT64_C(1) << AF_UNIX | UINT64_C(1) << AF_VSOCK);
}

static void test_privileges(void) {
        confined_check_privileges(&sbagent_profile);
}

static void test_each_layer(void) {
        alone_check_layers(&sbagent_profile, false);
}

static const struct sandbox_rlimit limits[] = {
        {RLIMIT_CORE, 0},
        {RLIMIT_NPROC, 0},
        {RLIMIT_FSIZE, 0},
        {RLIMIT_NOFILE, 2 * LIMIT_AGENT_CLIENTS + 64},
};

static void test_limits(void) {
        alone_check_limits(&sbagent_profile, limits, ELEMENTSOF(limits));
}

TEST_MAIN({"what no program of ours may do kills it", test_everywhere},
          {"so does what only others may do", test_killed}, {"what it needs works", test_works},
          {"each number that is not in the list kills it, other architectures' too", test_numbers},
          {"no socket of any family but two", test_families},
          {"all capabilities before, none when locked", test_privileges},
          {"each layer refuses something by itself", test_each_layer},
          {"each limit is reached where it is said to be", test_limits})
