/* SPDX-License-Identifier: MIT */
/* What is accepted names one document and no way out of it; a URI maps back to what it was. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "sbportal/guest_path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_gate_path(const char *path) {
        size_t id = strspn(path, "0123456789abcdef");
        const char *p = path + id;

        assert(id >= 1 && id <= 16 && *p == '/');
        while (*p) {
                size_t k = strcspn(++p, "/");

                assert(!(k == 2 && memcmp(p, "..", 2) == 0) && !(k == 1 && *p == '.'));
                assert(k > 0 || (p == path + id + 1 && !*p));
                p += k;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_free_ char *s = strndup((const char *)data, n), *out = NULL, *uri = NULL;
        _cleanup_free_ char *path = NULL, *back = NULL, *plain = NULL;
        _cleanup_free_ char *of_gate = NULL, *again = NULL, *of_item = NULL;

        assert(s);
        if (guest_path_to_gate("/doc", s, &out) == 0)
                check_gate_path(out);
        if (out && guest_path_from_gate("/doc", out, &of_gate) == 0) {
                assert(guest_path_to_gate("/doc", of_gate, &again) == 0);
                assert(strcmp(again, out) == 0 || out[strlen(out) - 1] == '/');
        }
        if (guest_path_uri("/a doc#/", s, &uri) != 0)
                return 0;
        path = uri_to_path(uri);
        assert(path && strncmp(path, "/a doc#/", 8) == 0);
        assert(guest_path_of_item("/a doc#/", s, &of_item) == 0 && strcmp(of_item, path) == 0);
        assert(guest_path_to_gate("/a doc#/", path, &back) == 0);
        check_gate_path(back);
        plain = uri_unescape(s + 4, strlen(s + 4)); /* behind "doc:" */
        assert(plain && strcmp(plain, back) == 0);
        return 0;
}
