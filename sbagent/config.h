/* SPDX-License-Identifier: MIT */
/*
 * What the agent was told to do, and by whom.
 *
 * A setting may come from the command line, the environment or a systemd credential
 * (systemd.exec(5), LoadCredential=; a VM gets them by SMBIOS); the first that gives
 * it wins, alone: a bad value is an error even if another source has a good one.
 * Where the host is comes either as an address (connect) or as a vsock port (and
 * cid): the higher source wins, and both from one source is an error; so is a cid from
 * a source that connect does not override.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/address.h"
#include "common/limits.h"

enum setting {
        SETTING_LISTEN,
        SETTING_MODE,
        SETTING_CONNECT,
        SETTING_PORT,
        SETTING_CID,
        SETTING_CONNECT_TIMEOUT,
        SETTING_HALF_CLOSE_TIMEOUT,
        N_SETTINGS,
};

/* In order of precedence. */
enum config_source {
        CONFIG_OPTION,
        CONFIG_ENVIRONMENT,
        CONFIG_CREDENTIAL,
        N_CONFIG_SOURCES,
};

struct config_values {
        const char *given[N_SETTINGS][N_CONFIG_SOURCES]; /* borrowed; NULL: not given */
        char credentials[N_SETTINGS][LIMIT_AGENT_VALUE_BYTES];
};

struct config {
        bool has_listen;
        struct address listen;
        unsigned mode; /* of the socket file */
        struct address connect;
        char host[160];              /* connect as text, ASCII: for logs and error replies */
        uint64_t connect_timeout;    /* microseconds */
        uint64_t half_close_timeout; /* microseconds */
};

enum {
        CONFIG_E_USAGE = 1, /* logged; exit EXIT_USAGE */
        CONFIG_E_VALUE,     /* logged, with the source's name; exit EXIT_CONFIG */
        CONFIG_E_DONE,      /* --help or --version was answered */
};

/* Fills values from argv, the environment and $CREDENTIALS_DIRECTORY.  0, CONFIG_E_* or -errno. */
int config_gather(struct config_values *values, int argc, char **argv);
/* From values to ret: checks, precedence, defaults.  0 or CONFIG_E_VALUE. */
int config_resolve(const struct config_values *values, struct config *ret);
