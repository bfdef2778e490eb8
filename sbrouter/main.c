/* SPDX-License-Identifier: MIT */
/*
 * sbrouter: a message bus in a box.  It carries D-Bus messages between a VM's
 * programs and sbportal (the VM bus), or between the document portal's daemons and
 * the supervisor (the private bus; another process of the same program).
 *
 * It trusts the supervisor, over ipc, to say which sockets are whose; nothing that
 * comes over a stream, and least of all what a stream says about itself.
 *
 * It must never be able to open a file, make a socket, run a program, or see
 * another process: when the first byte of a stream is read, no system call for any
 * of these is left to it (sandbox_profile.c).  Whoever takes it over from inside a
 * guest has the messages of that one VM and nothing else.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/child_options.h"
#include "common/escape.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "sbrouter/on_ipc.h"
#include "sbrouter/router.h"
#include "sbrouter/sandbox_profile.h"
#include "sbrouter/standalone.h"

#define MAX_LISTEN 8

struct arguments {
        struct child_options child; /* the first: its setters know nothing of the rest */
        bool standalone;
        const char *listen[MAX_LISTEN];
        unsigned n_listen;
        struct router_limits limits; /* 0: not given */
};

static int set_standalone(void *self, _unused_ const char *value) {
        ((struct arguments *)self)->standalone = true;
        return 0;
}

static int set_listen(void *self, const char *value) {
        struct arguments *args = self;

        if (args->n_listen == MAX_LISTEN) {
                log_error("--listen: at most %d times", MAX_LISTEN);
                return -EINVAL;
        }
        args->listen[args->n_listen++] = value;
        return 0;
}

/* A number from 1 to most; 0 and a line in the log: it is none. */
static unsigned long limit(const char *option, const char *value, unsigned long most) {
        char *end;
        unsigned long n;

        errno = 0;
        n = strtoul(value, &end, 10);
        if (errno == 0 && !*end && n > 0 && n <= most && value[0] != '-')
                return n;
        log_error("--%s %s: not a number from 1 to %lu", option, ESCAPED(value), most);
        return 0;
}

static int set_max_connections(void *self, const char *value) {
        struct arguments *args = self;

        args->limits.connections =
                (unsigned)limit("max-connections", value, LIMIT_STANDALONE_CONNECTIONS);
        return args->limits.connections > 0 ? 0 : -EINVAL;
}

/* One sender gets a fifth of it, and the whole bus has a limit: more would mean nothing. */
static int set_max_queue_bytes(void *self, const char *value) {
        struct arguments *args = self;

        args->limits.queue_bytes = limit("max-queue-bytes", value, 5ul * LIMIT_BUS_BYTES);
        return args->limits.queue_bytes > 0 ? 0 : -EINVAL;
}

static const struct option_row options[] = {
        CHILD_OPTION_ROWS,
        {"standalone", NULL, "be an ordinary bus, without a supervisor", set_standalone},
        {"listen", "ADDRESS", "with --standalone: unix:PATH to listen on; may be repeated", set_listen},
        {"max-connections", "N", "with --standalone: instead of 512", set_max_connections},
        {"max-queue-bytes", "N", "with --standalone: instead of 16 MiB", set_max_queue_bytes},
        {0},
};

static int parse(int argc, char **argv, struct arguments *args) {
        int v = options_parse(options, "sbrouter", "A sandboxed D-Bus message bus for one VM.", argc,
                              argv, args);

        if (v != 0)
                return v;
        if (args->standalone ? args->child.ipc_fd >= 0 || args->n_listen == 0
                             : args->child.ipc_fd < 0 || args->n_listen > 0) {
                log_error("either --ipc-fd N, or --standalone with --listen unix:PATH "
                          "(sbrouter --help lists the options)");
                return OPTIONS_E_USAGE;
        }
        if (!args->standalone && (args->limits.connections > 0 || args->limits.queue_bytes > 0)) {
                log_error("--max-connections and --max-queue-bytes are for --standalone only");
                return OPTIONS_E_USAGE;
        }
        return 0;
}

/* Everything that needs a file or a new socket, then the sandbox, then the first byte. */
static int run(const struct arguments *args) {
        struct router router;
        int v = router_init(&router);
        char waived[64];

        if (v < 0)
                log_error_errno(v, "cannot start");
        else if (args->standalone)
                v = standalone_start(&router, args->listen, args->n_listen, &args->limits);
        if (args->standalone && args->child.waived)
                log_warning("without these layers of the sandbox: %s",
                            sandbox_layer_names(args->child.waived, waived, sizeof(waived)));
        if (v == 0)
                v = sandbox_enclose(&router_profile, args->child.waived, args->child.place);
        if (v == 0)
                v = sandbox_lock(&router_profile, args->child.waived);
        if (v == 0 && !args->standalone)
                v = on_ipc_start(&router, args->child.ipc_fd);
        if (v == 0) {
                log_info("running");
                v = router_run(&router);
                if (v < 0)
                        log_error_errno(v, "stopped");
        }
        router_done(&router);
        return v;
}

int main(int argc, char **argv) {
        struct arguments args = {.child.ipc_fd = -1};
        int v;

        log_init("sbrouter");
        v = parse(argc, argv, &args);
        if (v != 0)
                return v == OPTIONS_E_DONE ? EXIT_SUCCESS : EXIT_USAGE;
        v = sandbox_start(&router_profile);
        if (v < 0)
                return EXIT_FAILURE;
        return run(&args) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
