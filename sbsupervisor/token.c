/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/token.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/cleanup.h"

int token_make(char token[TOKEN_SIZE]) {
        uint8_t random[(TOKEN_SIZE - 3) / 2];

        if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
                return -EIO;
        token += sprintf(token, "sb");
        for (size_t i = 0; i < sizeof(random); i++)
                token += sprintf(token, "%02x", random[i]);
        return 0;
}

int token_predict(sd_bus *bus, const char *prefix, const char *token, char **ret) {
        _cleanup_free_ char *name = NULL;
        const char *unique;
        int r = sd_bus_get_unique_name(bus, &unique);

        if (r < 0)
                return r;
        name = strdup(unique + 1);
        if (!name)
                return -ENOMEM;
        for (char *c = name; *c; c++)
                if (*c == '.')
                        *c = '_';
        return asprintf(ret, "%s/%s/%s", prefix, name, token) < 0 ? -ENOMEM : 0;
}
