/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/vm_name.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "org.sidebus.vm."

static bool is_alpha(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

const char *vm_name_fault(const char *name) {
        size_t n = strlen(name);

        if (n == 0)
                return "is empty";
        if (n > VM_NAME_MAX)
                return "is longer than 64 characters";
        if (name[0] == '.' || name[0] == '-')
                return "starts with '.' or '-'";
        for (size_t i = 0; i < n; i++)
                if (!is_alpha(name[i]) && !is_digit(name[i]) && !strchr("_.-", name[i]))
                        return "has a character that is not a letter, a digit, '_', '.' or '-'";
        return NULL;
}

void vm_app_id(const char *name, char ret[APP_ID_MAX + 1]) {
        size_t n = strlen(PREFIX);

        _Static_assert(sizeof(PREFIX) + 3 * VM_NAME_MAX <= APP_ID_MAX, "an id always fits");
        assert(!vm_name_fault(name));
        memcpy(ret, PREFIX, n);
        for (size_t i = 0; name[i]; i++) {
                if (is_alpha(name[i]) || (i > 0 && is_digit(name[i])))
                        ret[n++] = name[i];
                else
                        n += (size_t)sprintf(ret + n, "_%02x", (unsigned char)name[i]);
        }
        ret[n] = '\0';
}

bool vm_app_id_is_valid(const char *id) {
        size_t n = strlen(PREFIX);

        if (strncmp(id, PREFIX, n) != 0 || !id[n] || strlen(id) > APP_ID_MAX || is_digit(id[n]))
                return false;
        return strspn(id + n, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
               strlen(id + n);
}
