/* SPDX-License-Identifier: MIT */
#include "common/sandbox_landlock.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "common/cleanup.h"
#include "common/sanitized.h"

/*
 * linux/landlock.h of the kernel's newest version that is known here: the headers of the machine
 * that builds are older than the kernel it will run on.
 */
struct ruleset {
        uint64_t handled_access_fs, handled_access_net, scoped;
};

struct path_beneath {
        uint64_t allowed_access;
        int32_t parent_fd;
} __attribute__((packed));

#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH      1
#define ACCESS_FS_REMOVE_FILE  (1u << 5)
#define SCOPE_ABSTRACT         (UINT64_C(1) << 0)
#define SCOPE_SIGNAL           (UINT64_C(1) << 1)

/* Reading, which the sanitizers' run-time does in /proc to tell its own memory. */
#define ACCESS_FS_READ 12u /* READ_FILE, READ_DIR */

static const struct {
        int abi;
        struct ruleset adds;
} versions[] = {
        {1, {.handled_access_fs = 0x1fff}},   /* execute, read, write, make, remove: 13 rights */
        {2, {.handled_access_fs = 1 << 13}},  /* refer */
        {3, {.handled_access_fs = 1 << 14}},  /* truncate */
        {4, {.handled_access_net = 3}},       /* bind, connect: TCP */
        {5, {.handled_access_fs = 1 << 15}},  /* ioctl of devices */
        {6, {.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL}},
};

#define EVERYTHING UINT64_MAX

static const struct ruleset kinds[] = {
        [SANDBOX_LANDLOCK_ALL] = {EVERYTHING, EVERYTHING, EVERYTHING},
        [SANDBOX_LANDLOCK_OUTSIDE] = {.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL},
        [SANDBOX_LANDLOCK_SIGNALS] = {.scoped = SCOPE_SIGNAL},
};

int sandbox_landlock_abi(void) {
        int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

        return abi < 0 ? -errno : abi;
}

/* What this kernel knows of some rules; -ENOMSG: nothing. */
static int make_ruleset(const struct ruleset *of, int *ret) {
        struct ruleset all = {0};
        int abi = sandbox_landlock_abi();

        if (abi < 0)
                return abi;
        for (size_t i = 0; i < ELEMENTSOF(versions) && versions[i].abi <= abi; i++) {
                all.handled_access_fs |= versions[i].adds.handled_access_fs & of->handled_access_fs;
                all.handled_access_net |=
                        versions[i].adds.handled_access_net & of->handled_access_net;
                all.scoped |= versions[i].adds.scoped & of->scoped;
        }
#ifdef SANITIZED
        all.handled_access_fs &= ~(uint64_t)ACCESS_FS_READ;
#endif
        /* What an older kernel does not know is 0 in here, which it takes for not there. */
        *ret = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
        return *ret < 0 ? -errno : 0;
}

int sandbox_landlock_enter(enum sandbox_landlock kind) {
        _cleanup_close_ int fd = -1;
        int r = make_ruleset(&kinds[kind], &fd);

        if (r == -ENOMSG)
                return 0;
        return r == 0 && syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : r;
}

int sandbox_landlock_deny_but(int dir) {
        static const struct ruleset but_abstract = {EVERYTHING, EVERYTHING, ~SCOPE_ABSTRACT};
        const struct path_beneath rule = {ACCESS_FS_REMOVE_FILE, dir};
        _cleanup_close_ int fd = -1;
        int r = make_ruleset(&but_abstract, &fd);

        if (r < 0)
                return r;
        if (dir >= 0 && syscall(SYS_landlock_add_rule, fd, RULE_PATH_BENEATH, &rule, 0) < 0)
                return -errno;
        return syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 0;
}
