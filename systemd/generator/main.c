/* SPDX-License-Identifier: MIT */
/*
 * sidebus-guest-generator: in the guest, early at boot, from credentials to drop-ins.
 *
 * systemd runs it before it loads units.  It pulls in the mount of the documents under the tag
 * that the hypervisor names, and gives the bus's socket to the user it names.
 *
 * Trusts: systemd, for the directories.  Believes the hypervisor nothing but two short values, of
 * which it takes no byte that means anything to a unit file.
 *
 * In C, though a shell script would be shorter: it runs as root before anything else of the
 * machine does, and here it is plain that it starts no program, expands nothing, reads 256 bytes,
 * sees also NUL and newline, and writes only below the directory it is given.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/limits.h"
#include "common/log.h"
#include "systemd/generator/dropin.h"

#define MOUNT "run-sidebus-doc.mount"

static const char *const faults[] = {
        [DROPIN_E_LENGTH] = "it is empty or too long",
        [DROPIN_E_CHARACTER] = "it has a character that is not allowed",
        [DROPIN_E_NUMBER] = "no user or group has such a number",
};

static const struct row {
        const char *credential, *expected, *directory;
        int (*render)(const char *bytes, size_t n, char ret[DROPIN_MAX_BYTES]);
        const char *wants[2]; /* who pulls the unit in */
        const char *refused;  /* the drop-in that a bad value gets; NULL: none */
} rows[] = {
        /* sbagent.service too: when the first program comes, what failed at boot is tried again. */
        {"sidebus.tag", "1 to 36 letters, digits, or _ . : + @ - after the first", MOUNT ".d",
         dropin_tag, {"multi-user.target.wants", "sbagent.service.wants"}, NULL},
        /* The user of whom it was meant to speak is not known, so nobody's it is. */
        {"sidebus.user", "UID or UID:GID", "sbagent.socket.d", dropin_user, {NULL, NULL},
         DROPIN_ROOTS},
};

/* The journal is not there yet: the kernel's log is read into it.  A container has none. */
static void to_kernel_log(int priority, const char *line) {
        _cleanup_close_ int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NOCTTY);
        char text[512];
        int n;

        n = snprintf(text, sizeof(text), "<%d>sidebus-guest-generator: %s\n", LOG_DAEMON | priority,
                     line);
        if (n >= (int)sizeof(text))
                n = sizeof(text) - 1;
        if (fd < 0 || write(fd, text, (size_t)n) < 0)
                (void)!write(STDERR_FILENO, text, (size_t)n);
}

/* The length; or a negative errno, -ENOENT without a credential of that name. */
static ssize_t read_from(const char *directory, const char *name, char *buf, size_t size) {
        _cleanup_close_ int dir = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;
        ssize_t n;

        if (dir >= 0)
                fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        n = fd < 0 ? -1 : read(fd, buf, size);
        return n < 0 ? -errno : n;
}

/* As LoadCredential= looks: what the service manager was given, then files of the machine. */
static ssize_t read_credential(const char *name, char *buf, size_t size) {
        const char *const directories[] = {getenv("CREDENTIALS_DIRECTORY"), "/etc/credstore",
                                           "/run/credstore", "/usr/lib/credstore"};
        ssize_t n = -ENOENT;

        for (size_t i = 0; i < ELEMENTSOF(directories) && n == -ENOENT; i++)
                if (directories[i] && directories[i][0] == '/')
                        n = read_from(directories[i], name, buf, size);
        return n;
}

static int make_dir(int output, const char *name) {
        if (mkdirat(output, name, 0755) < 0 && errno != EEXIST)
                return log_error_errno(errno, "cannot make %s", name);
        return 0;
}

static int write_dropin(int output, const char *directory, const char *text) {
        char path[128];
        _cleanup_close_ int fd = -1;
        int r = make_dir(output, directory);

        if (r < 0)
                return r;
        (void)snprintf(path, sizeof(path), "%s/50-sidebus.conf", directory);
        fd = openat(output, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
                return log_error_errno(errno ?: EIO, "cannot write %s", path);
        return 0;
}

static int pull_in(int output, const char *directory) {
        char path[128];
        int r = make_dir(output, directory);

        if (r < 0)
                return r;
        (void)snprintf(path, sizeof(path), "%s/" MOUNT, directory);
        if (symlinkat(SIDEBUS_SYSTEMUNITDIR "/" MOUNT, output, path) < 0 && errno != EEXIST)
                return log_error_errno(errno, "cannot make %s", path);
        return 0;
}

static int generate(int output, const struct row *row) {
        char bytes[LIMIT_AGENT_VALUE_BYTES], text[DROPIN_MAX_BYTES];
        ssize_t n = read_credential(row->credential, bytes, sizeof(bytes));
        int r;

        if (n == -ENOENT)
                return 0;
        if (n < 0)
                return log_error_errno((int)n, "cannot read credential %s", row->credential);
        r = row->render(bytes, (size_t)n, text);
        if (r != 0) {
                char shown[160];

                log_error("credential %s: \"%s\": %s; write %s", row->credential,
                          escape_log(shown, sizeof(shown), bytes, (size_t)n), faults[r],
                          row->expected);
                r = row->refused ? write_dropin(output, row->directory, row->refused) : 0;
                return r < 0 ? r : -EINVAL;
        }
        r = write_dropin(output, row->directory, text);
        for (size_t i = 0; i < ELEMENTSOF(row->wants) && row->wants[i] && r == 0; i++)
                r = pull_in(output, row->wants[i]);
        return r;
}

int main(int argc, char **argv) {
        _cleanup_close_ int output = -1;
        bool failed = false;

        log_init("sidebus-guest-generator");
        if (argc != 4) {
                log_error("systemd runs this, with three directories: see systemd.generator(7)");
                return EXIT_FAILURE;
        }
        log_set_sink(to_kernel_log);
        umask(0022);
        output = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (output < 0) {
                log_error_errno(errno, "cannot open %s", argv[1]);
                return EXIT_FAILURE;
        }
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                failed = generate(output, &rows[i]) < 0 || failed;
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
