/* SPDX-License-Identifier: MIT */
#include "common/sandbox_layer.h"

#include <linux/seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "common/log.h"
#include "common/sandbox_landlock.h"

static int check_landlock(void) {
        int abi = sandbox_landlock_abi();

        return abi < 0 ? abi : 0;
}

static int check_seccomp(void) {
        uint32_t action = SECCOMP_RET_KILL_PROCESS;

        return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0 ? -errno : 0;
}

static const struct layer {
        unsigned bit;
        const char *name, *remedy;
        int (*check)(void); /* NULL: only the try tells */
} rows[] = {
        {SANDBOX_NAMESPACES, "namespaces",
         "the kernel does not let you make the namespaces it is shut into: "
         SANDBOX_NAMESPACES_REMEDY,
         NULL},
        {SANDBOX_LANDLOCK, "landlock",
         "there is no Landlock: add landlock to the kernel's lsm= parameter, use a kernel 5.13 or "
         "later with CONFIG_SECURITY_LANDLOCK=y, or have the container let it through",
         check_landlock},
        {SANDBOX_SECCOMP, "seccomp",
         "the kernel has no system call filters: use one with CONFIG_SECCOMP_FILTER=y",
         check_seccomp},
};

static unsigned find(const char *name, size_t n) {
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (strlen(rows[i].name) == n && memcmp(rows[i].name, name, n) == 0)
                        return rows[i].bit;
        return 0;
}

int sandbox_layer_parse(const char *list, unsigned *layers) {
        unsigned found = 0;

        for (size_t n; *(list += strspn(list, " ")); list += n) {
                unsigned bit;

                n = strcspn(list, " ");
                bit = find(list, n);
                if (!bit)
                        return SANDBOX_LAYER_E_NAME;
                found |= bit;
        }
        if (!found)
                return SANDBOX_LAYER_E_NAME;
        *layers |= found;
        return 0;
}

const char *sandbox_layer_name(unsigned layer) {
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (rows[i].bit == layer)
                        return rows[i].name;
        return "";
}

const char *sandbox_layer_names(unsigned layers, char *buf, size_t size) {
        size_t n = 0;

        buf[0] = '\0';
        for (size_t i = 0; i < ELEMENTSOF(rows) && n < size; i++)
                if (layers & rows[i].bit)
                        n += (size_t)snprintf(buf + n, size - n, "%s%s", n > 0 ? ", " : "",
                                              rows[i].name);
        return buf;
}

int sandbox_layer_check(unsigned layers) {
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                int r = layers & rows[i].bit && rows[i].check ? rows[i].check() : 0;

                if (r < 0)
                        return sandbox_layer_refuse("the sandbox", rows[i].bit, r);
        }
        return 0;
}

int sandbox_layer_refuse(const char *program, unsigned layer, int error) {
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (rows[i].bit == layer)
                        return log_error_errno(
                                error,
                                "%s lacks a layer: %s; or do without, which makes a break-in "
                                "worse, by Waive=%s in [Sandbox] of the VM's configuration "
                                "(sidebus.conf(5))",
                                program, rows[i].remedy, rows[i].name);
        return -EINVAL;
}
