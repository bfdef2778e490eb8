/* SPDX-License-Identifier: MIT */
#include "sbagent/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/options.h"

/* A parser stores the value, or returns what is wrong with it. */
typedef const char *(*parse_t)(struct config *c, const char *value);

static bool all_digits(const char *s) {
        return *s && s[strspn(s, "0123456789")] == '\0';
}

static const char *parse_listen(struct config *c, const char *value) {
        int r = address_parse(value, &c->listen);

        c->has_listen = true;
        if (r != 0)
                return address_strerror(r);
        return c->listen.kind == ADDRESS_UNIX ? NULL : "programs connect to a unix:PATH";
}

static const char *parse_mode(struct config *c, const char *value) {
        if (!*value || strlen(value) > 4 || value[strspn(value, "01234567")] != '\0')
                return "a mode is octal, like 0600 or 0666";
        c->mode = (unsigned)strtoul(value, NULL, 8);
        return c->mode <= 0777 ? NULL : "a socket's mode is at most 0777";
}

static const char *parse_connect(struct config *c, const char *value) {
        int r = address_parse(value, &c->connect);

        return r == 0 ? NULL : address_strerror(r);
}

static const char *parse_number(const char *value, uint32_t *ret) {
        char text[32];
        struct address a;

        /* address_parse() knows the range */
        (void)snprintf(text, sizeof(text), "vsock:%.20s", value);
        if (!all_digits(value) || address_parse(text, &a) != 0)
                return "a number from 1 to 4294967294 is needed";
        *ret = a.port;
        return NULL;
}

static const char *parse_port(struct config *c, const char *value) {
        c->connect.kind = ADDRESS_VSOCK;
        return parse_number(value, &c->connect.port);
}

static const char *parse_cid(struct config *c, const char *value) {
        return parse_number(value, &c->connect.cid);
}

/* "5", "0.25": seconds, at least a millisecond, at most an hour. */
static const char *parse_seconds(const char *value, uint64_t *ret) {
        size_t whole = strspn(value, "0123456789"), fraction = 0;
        uint64_t us = 0;

        if (value[whole] == '.')
                fraction = strspn(value + whole + 1, "0123456789");
        if (whole == 0 || whole > 4 || fraction > 3 ||
            value[whole + (fraction ? 1 + fraction : 0)] != '\0')
                return "seconds are needed, like 5 or 0.25";
        us = strtoull(value, NULL, 10) * 1000000;
        for (size_t i = 0, unit = 100000; i < fraction; i++, unit /= 10)
                us += (uint64_t)(value[whole + 1 + i] - '0') * unit;
        *ret = us;
        return us >= 1000 && us <= 3600u * 1000000u ? NULL : "0.001 to 3600 seconds are possible";
}

static const char *parse_connect_timeout(struct config *c, const char *value) {
        return parse_seconds(value, &c->connect_timeout);
}

static const char *parse_half_close_timeout(struct config *c, const char *value) {
        return parse_seconds(value, &c->half_close_timeout);
}

static const struct row {
        const char *name[N_CONFIG_SOURCES];
        parse_t parse;
} rows[N_SETTINGS] = {
        [SETTING_LISTEN] = {{"--listen", "SIDEBUS_LISTEN", "sidebus.listen"}, parse_listen},
        [SETTING_MODE] = {{"--mode", "SIDEBUS_MODE", "sidebus.mode"}, parse_mode},
        [SETTING_CONNECT] = {{"--connect", "SIDEBUS_CONNECT", "sidebus.connect"}, parse_connect},
        [SETTING_PORT] = {{"--port", "SIDEBUS_PORT", "sidebus.port"}, parse_port},
        [SETTING_CID] = {{"--cid", "SIDEBUS_CID", "sidebus.cid"}, parse_cid},
        [SETTING_CONNECT_TIMEOUT] = {{"--connect-timeout", "SIDEBUS_CONNECT_TIMEOUT",
                                      "sidebus.connect-timeout"},
                                     parse_connect_timeout},
        [SETTING_HALF_CLOSE_TIMEOUT] = {{"--half-close-timeout", "SIDEBUS_HALF_CLOSE_TIMEOUT",
                                         "sidebus.half-close-timeout"},
                                        parse_half_close_timeout},
};

static const char *const source_names[N_CONFIG_SOURCES] = {
        [CONFIG_OPTION] = "option",
        [CONFIG_ENVIRONMENT] = "environment",
        [CONFIG_CREDENTIAL] = "credential",
};

/* --- gathering ----------------------------------------------------------------------------- */

static int keep(void *self, enum setting s, const char *value) {
        struct config_values *v = self;

        v->given[s][CONFIG_OPTION] = value;
        return 0;
}

static int set_listen(void *self, const char *value) {
        return keep(self, SETTING_LISTEN, value);
}

static int set_mode(void *self, const char *value) {
        return keep(self, SETTING_MODE, value);
}

static int set_connect(void *self, const char *value) {
        return keep(self, SETTING_CONNECT, value);
}

static int set_port(void *self, const char *value) {
        return keep(self, SETTING_PORT, value);
}

static int set_cid(void *self, const char *value) {
        return keep(self, SETTING_CID, value);
}

static int set_connect_timeout(void *self, const char *value) {
        return keep(self, SETTING_CONNECT_TIMEOUT, value);
}

static int set_half_close_timeout(void *self, const char *value) {
        return keep(self, SETTING_HALF_CLOSE_TIMEOUT, value);
}

static const struct option_row options[] = {
        {"listen", "unix:PATH", "where programs connect, if systemd passes no socket", set_listen},
        {"mode", "MODE", "mode of that socket (default 0600)", set_mode},
        {"connect", "ADDRESS", "the host: vsock:PORT, vsock:CID:PORT or unix:PATH", set_connect},
        {"port", "PORT", "the host's vsock port: short for --connect vsock:PORT", set_port},
        {"cid", "CID", "the host's vsock address, with --port (default 2)", set_cid},
        {"connect-timeout", "SECONDS", "how long a program waits for the host (default 5)",
         set_connect_timeout},
        {"half-close-timeout", "SECONDS", "how long one direction outlives the other (default 30)",
         set_half_close_timeout},
        {0},
};

static void gather_environment(struct config_values *v) {
        for (size_t s = 0; s < N_SETTINGS; s++) {
                const char *value = getenv(rows[s].name[CONFIG_ENVIRONMENT]);

                if (value && *value)
                        v->given[s][CONFIG_ENVIRONMENT] = value;
        }
}

/* One line, with or without its newline. */
static int read_credential(int dir, const char *name, char buf[LIMIT_AGENT_VALUE_BYTES]) {
        _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = read(fd, buf, LIMIT_AGENT_VALUE_BYTES);
        if (n < 0)
                return -errno;
        if (n == LIMIT_AGENT_VALUE_BYTES)
                return -E2BIG;
        if (n > 0 && buf[n - 1] == '\n')
                n--;
        buf[n] = '\0';
        return strlen(buf) == (size_t)n ? 0 : -EINVAL;
}

static int gather_credentials(struct config_values *v) {
        const char *path = getenv("CREDENTIALS_DIRECTORY");
        _cleanup_close_ int dir = -1;

        if (!path || !*path)
                return 0;
        dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return log_error_errno(errno, "environment CREDENTIALS_DIRECTORY: %s",
                                       ESCAPED(path));
        for (size_t s = 0; s < N_SETTINGS; s++) {
                const char *name = rows[s].name[CONFIG_CREDENTIAL];
                int r = read_credential(dir, name, v->credentials[s]);

                if (r == 0)
                        v->given[s][CONFIG_CREDENTIAL] = v->credentials[s];
                else if (r != -ENOENT) {
                        (void)log_error_errno(r, "credential %s", name);
                        return CONFIG_E_VALUE;
                }
        }
        return 0;
}

int config_gather(struct config_values *v, int argc, char **argv) {
        static const char summary[] =
                "Carries programs of this guest to the sidebus instance on the host.";
        int r = options_parse(options, "sbagent", summary, argc, argv, v);

        if (r == OPTIONS_E_DONE)
                return CONFIG_E_DONE;
        if (r != 0)
                return r > 0 ? CONFIG_E_USAGE : r;
        gather_environment(v);
        return gather_credentials(v);
}

/* --- resolving ----------------------------------------------------------------------------- */

/* The source that counts for a setting; N_CONFIG_SOURCES when none gives it. */
static size_t source_of(const struct config_values *v, enum setting s) {
        size_t i = 0;

        while (i < N_CONFIG_SOURCES && !v->given[s][i])
                i++;
        return i;
}

static int contradiction(enum setting a, size_t source_a, enum setting b, size_t source_b) {
        if (source_a == source_b)
                log_error("%s %s and %s: give one of them", source_names[source_a],
                          rows[a].name[source_a], rows[b].name[source_b]);
        else
                log_error("%s %s and %s %s: give one of them", source_names[source_a],
                          rows[a].name[source_a], source_names[source_b], rows[b].name[source_b]);
        return CONFIG_E_VALUE;
}

/* Leaves one of connect and port (with cid) in use[]. */
static int choose_host(const struct config_values *v, bool use[N_SETTINGS]) {
        size_t connect = source_of(v, SETTING_CONNECT), port = source_of(v, SETTING_PORT);
        size_t cid = source_of(v, SETTING_CID);

        if (connect == N_CONFIG_SOURCES && port == N_CONFIG_SOURCES) {
                log_error("where is the host?  Give the VM the systemd credential sidebus.port "
                          "(the vsock port of sidebus on the host), or use --port PORT or "
                          "--connect ADDRESS");
                return CONFIG_E_VALUE;
        }
        if (connect == port)
                return contradiction(SETTING_CONNECT, connect, SETTING_PORT, port);
        /* A cid from a lower source is one that connect overrides; any other would be ignored. */
        if (connect < port && cid <= connect)
                return contradiction(SETTING_CONNECT, connect, SETTING_CID, cid);
        use[SETTING_CONNECT] = connect < port;
        use[SETTING_PORT] = use[SETTING_CID] = port < connect;
        return 0;
}

static int apply_one(const struct config_values *v, enum setting s, size_t source,
                     struct config *c) {
        const char *problem = rows[s].parse(c, v->given[s][source]);

        if (!problem)
                return 0;
        log_error("%s %s: \"%s\": %s", source_names[source], rows[s].name[source],
                  ESCAPED(v->given[s][source]), problem);
        return CONFIG_E_VALUE;
}

static int apply(const struct config_values *v, enum setting s, struct config *c) {
        size_t source = source_of(v, s);

        return source < N_CONFIG_SOURCES ? apply_one(v, s, source, c) : 0;
}

/* Every value that was given, also those that do not count. */
static int check_values(const struct config_values *v) {
        struct config ignored = {0};
        int r = 0;

        for (size_t s = 0; s < N_SETTINGS && r == 0; s++)
                for (size_t source = 0; source < N_CONFIG_SOURCES && r == 0; source++)
                        if (v->given[s][source])
                                r = apply_one(v, s, source, &ignored);
        return r;
}

static void write_host(struct config *c) {
        if (c->connect.kind == ADDRESS_UNIX) {
                (void)snprintf(c->host, sizeof(c->host), "unix:%s", ESCAPED(c->connect.path));
                return;
        }
        if (c->connect.cid == VMADDR_CID_ANY)
                c->connect.cid = VMADDR_CID_HOST;
        (void)snprintf(c->host, sizeof(c->host), "vsock:%u:%u", c->connect.cid, c->connect.port);
}

int config_resolve(const struct config_values *v, struct config *ret) {
        struct config c = {
                .mode = 0600,
                .connect = {.cid = VMADDR_CID_ANY},
                .connect_timeout = 5 * 1000000,
                .half_close_timeout = LIMIT_AGENT_GRACE_SECONDS * UINT64_C(1000000),
        };
        bool use[N_SETTINGS];
        int r;

        memset(use, true, sizeof(use));
        r = check_values(v);
        if (r == 0)
                r = choose_host(v, use);
        for (size_t s = 0; s < N_SETTINGS && r == 0; s++)
                if (use[s])
                        r = apply(v, s, &c);
        if (r != 0)
                return r;
        write_host(&c);
        *ret = c;
        return 0;
}
