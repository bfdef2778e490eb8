/* SPDX-License-Identifier: MIT */
#include "sbrouter/sandbox_profile.h"

#include <sys/socket.h>
#include <linux/vm_sockets.h>

#include "common/limits.h"
#include "tests/confined_alone.h"

/* What others may, this program may not. */
static const struct confined_call killed[] = {
        FORBIDDEN(socket, AF_UNIX, SOCK_STREAM),
        FORBIDDEN(socket, AF_VSOCK, SOCK_STREAM),
        FORBIDDEN(connect, -1),
        FORBIDDEN(accept4, -1, 0, 0, SOCK_CLOEXEC),
        FORBIDDEN(mremap, 0, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED),
        FORBIDDEN(shutdown, -1, SHUT_RD),
        RELEASE(read, 0, 0, 0),
        RELEASE(write, STDOUT_FILENO, 0, 0),
        FORBIDDEN(writev, STDOUT_FILENO, 0, 0),
        FORBIDDEN(fcntl, STDOUT_FILENO, F_DUPFD, 0),
        FORBIDDEN(fcntl, STDOUT_FILENO, F_SETFL, 0),
        FORBIDDEN(getsockopt, -1, SOL_SOCKET, SO_TYPE),
        FORBIDDEN(setsockopt, -1, SOL_SOCKET, SO_SNDBUF),
        FORBIDDEN(setsockopt, -1, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE),
        FORBIDDEN(setsockopt, -1, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MIN_SIZE),
        FORBIDDEN(unlinkat, AT_FDCWD, PATH_ARG("/nonexistent")),
        RELEASE(mmap, 0, 4096, PROT_READ, MAP_PRIVATE, STDIN_FILENO),
};

static const struct confined_call works[] = {
        ALLOWED(write, STDERR_FILENO, PATH_ARG(""), 0),
        ALLOWED(fcntl, STDERR_FILENO, F_GETFL),
        ALLOWED(brk, 0),
        ALLOWED(mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1),
};

static void test_everywhere(void) {
        confined_check_killed(&router_profile, confined_everywhere,
                              ELEMENTSOF(confined_everywhere));
}

static void test_killed(void) {
        confined_check_killed(&router_profile, killed, ELEMENTSOF(killed));
}

static void test_works(void) {
        confined_check_works(&router_profile, works, ELEMENTSOF(works));
}

static void test_numbers(void) {
        confined_check_count(&router_profile, 20); /* the manual page says so */
        confined_check_numbers(&router_profile);
        confined_check_architectures(&router_profile);
}

static void test_layers(void) {
        CHECK_EQ_INT(router_profile.layers, SANDBOX_ALL);
        CHECK(!router_profile.dumpable && !router_profile.starts_programs);
}

static void test_families(void) {
        confined_check_families(&router_profile, 0);
}

static void test_privileges(void) {
        confined_check_privileges(&router_profile);
}

static void test_each_layer(void) {
        alone_check_layers(&router_profile, false);
}

static const struct sandbox_rlimit limits[] = {
        {RLIMIT_CORE, 0},  {RLIMIT_NPROC, 0},
        {RLIMIT_FSIZE, 0}, {RLIMIT_NOFILE, LIMIT_ROUTER_FDS},
        {RLIMIT_AS, LIMIT_ROUTER_AS},
};

static void test_limits(void) {
        alone_check_limits(&router_profile, limits, ELEMENTSOF(limits));
}

TEST_MAIN({"what no program of ours may do kills it", test_everywhere},
          {"so does what only others may do", test_killed}, {"what it needs works", test_works},
          {"each number that is not in the list kills it, other architectures' too", test_numbers},
          {"every layer", test_layers}, {"no socket of any family", test_families},
          {"all capabilities before, none when locked", test_privileges},
          {"each layer refuses something by itself", test_each_layer},
          {"each limit is reached where it is said to be", test_limits})
