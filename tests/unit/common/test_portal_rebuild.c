/* SPDX-License-Identifier: MIT */
#include "common/portal_rebuild.h"

#include <stdarg.h>

#include "common/limits.h"
#include "tests/message_pipe.h"
#include "tests/test.h"

#define FC "org.freedesktop.portal.FileChooser"

/* One for all tests, so that its descriptors are no leak of the first. */
static struct message_pipe pipe_ = {.raw = -1};

/* Remembers what it was asked; answers what the test wants. */
struct asked {
        char token[128], title[LIMIT_STRING_BYTES], window[128], path[LIMIT_STRING_BYTES];
        unsigned uris;
        bool leave_out;
        int result;
};

static int translate(void *userdata, const struct portal_value *v, const char *value, char **ret) {
        struct asked *a = userdata;

        if (v->role == PORTAL_HANDLE_TOKEN)
                (void)snprintf(a->token, sizeof(a->token), "%s", value);
        if (v->role == PORTAL_TITLE)
                (void)snprintf(a->title, sizeof(a->title), "%s", value);
        if (v->role == PORTAL_PARENT_WINDOW)
                (void)snprintf(a->window, sizeof(a->window), "%s", value);
        if (v->role == PORTAL_GUEST_PATH)
                (void)snprintf(a->path, sizeof(a->path), "%s", value);
        a->uris += v->role == PORTAL_URIS;
        if (a->result || a->leave_out || v->role == PORTAL_HANDLE_TOKEN)
                return a->result;
        *ret = strdup(value);
        return 0;
}

static sd_bus_message *new_message(void) {
        sd_bus_message *m = NULL;

        CHECK(sd_bus_message_new_signal(pipe_.bus, &m, "/x", "a.b", "c") >= 0);
        return m;
}

static void seal(sd_bus_message *m) {
        CHECK(sd_bus_message_seal(m, 1, 0) >= 0);
        CHECK(sd_bus_message_rewind(m, true) >= 0);
}

/* "ssa{sv}" with one more option by append's types; NULL: none. */
static sd_bus_message *call_with(const char *key, const char *types, ...) {
        sd_bus_message *m = new_message();
        va_list ap;

        CHECK(sd_bus_message_append(m, "ss", "x11:1", "Title") >= 0);
        CHECK(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
        if (key) {
                CHECK(sd_bus_message_open_container(m, 'e', "sv") >= 0);
                CHECK(sd_bus_message_append(m, "s", key) >= 0);
                CHECK(sd_bus_message_open_container(m, 'v', types) >= 0);
                va_start(ap, types);
                CHECK(sd_bus_message_appendv(m, types, ap) >= 0);
                va_end(ap);
                CHECK(sd_bus_message_close_container(m) >= 0);
                CHECK(sd_bus_message_close_container(m) >= 0);
        }
        CHECK(sd_bus_message_close_container(m) >= 0);
        seal(m);
        return m;
}

static char *text_of(sd_bus_message *m) {
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        CHECK(sd_bus_message_dump(m, f, SD_BUS_MESSAGE_DUMP_SUBTREE_ONLY) >= 0);
        fclose(f);
        return text;
}

/* Rebuilds in (freed) as member's arguments.  *ret_text when it succeeds. */
static int rebuild(const char *member, struct asked *a, sd_bus_message *in, char **ret_text,
                   const char **ret_culprit) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *owned _unused_ = in;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = new_message();
        struct portal_rebuild rb = {
                .method = portal_find_method(FC, member),
                .translate = translate,
                .userdata = a,
        };
        int r = portal_rebuild_args(&rb, in, out);

        if (ret_culprit)
                *ret_culprit = rb.culprit;
        if (r == 0) {
                seal(out);
                if (ret_text)
                        *ret_text = text_of(out);
        }
        return r;
}

/* The option passes, and the text of what comes out has expect in it (NULL: the key is not there).
 */
static void check_passes(const char *member, const char *key, sd_bus_message *in,
                         const char *expect) {
        _cleanup_free_ char *text = NULL;
        struct asked a = {0};

        CHECK_EQ_INT(rebuild(member, &a, in, &text, NULL), 0);
        if (!text)
                return;
        CHECK(!expect == !strstr(text, key));
        if (expect && !strstr(text, expect)) {
                printf("# %s: no \"%s\" in\n%s", key, expect, text);
                test_failures++;
        }
}

static void check_refused(const char *member, const char *key, int e, sd_bus_message *in) {
        const char *culprit = NULL;
        struct asked a = {0};

        CHECK_EQ_INT(rebuild(member, &a, in, NULL, &culprit), e);
        CHECK_EQ_STR(culprit, key);
}

static void test_good(void) {
        check_passes("OpenFile", "modal", call_with("modal", "b", 1), "BOOLEAN true");
        check_passes("OpenFile", "accept_label", call_with("accept_label", "s", "_Go"), "\"_Go\"");
        check_passes(
                "OpenFile", "filters",
                call_with("filters", "a(sa(us))", 1, "Images", 2, 0u, "*.png", 1u, "image/gif"),
                "\"image/gif\"");
        check_passes("OpenFile", "current_filter",
                     call_with("current_filter", "(sa(us))", "All", 1, 0u, "*"), "\"All\"");
        check_passes("OpenFile", "choices",
                     call_with("choices", "a(ssa(ss)s)", 1, "id", "Label", 1, "a", "A", "a"),
                     "\"Label\"");
        check_passes("OpenFile", "current_folder",
                     call_with("current_folder", "ay", 3, '/', 'a', 0), "BYTE 97");
        check_passes("SaveFile", "current_name", call_with("current_name", "s", "a b.txt"),
                     "a b.txt");
        check_passes("SaveFiles", "files", call_with("files", "aay", 2, 2, 'x', 0, 2, 'y', 0),
                     "BYTE 121");
        check_passes("OpenFile", "filters", call_with("filters", "a(sa(us))", 0), "ARRAY");
}

/* Unknown here, or known only to another method: not there, whatever it holds. */
static void test_unknown(void) {
        check_passes("OpenFile", "app_id", call_with("app_id", "s", "org.evil"), NULL);
        check_passes("OpenFile", "activation_token", call_with("activation_token", "s", "x"), NULL);
        check_passes("OpenFile", "Modal", call_with("Modal", "b", 1), NULL);
        check_passes("OpenFile", "modal ", call_with("modal ", "b", 1), NULL);
        check_passes("OpenFile", "current_name", call_with("current_name", "s", "x"), NULL);
        check_passes("SaveFiles", "multiple", call_with("multiple", "b", 1), NULL);
        check_passes("SaveFile", "files", call_with("files", "s", "not even its type"), NULL);
        check_passes("OpenFile", "nested", call_with("nested", "v", "a{sv}", 1, "k", "i", 1), NULL);
        check_passes("OpenFile", "handle_token", call_with("handle_token", "s", "tok"), NULL);
}

/* Every option of every method with a value of each other type. */
static void test_wrong_types(void) {
        static const char *const types[] = {"s",           "b",     "u",        "ay",   "as",
                                            "aay",         "a{sv}", "(sa(us))", "o",    "a(sa(us))",
                                            "a(ssa(ss)s)", "v",     "x",        "a(ss)"};
        for (size_t i = 0; strcmp(portal_methods[i].interface, FC) == 0; i++)
                for (const struct portal_value *v = portal_methods[i].options; v->name; v++)
                        for (size_t k = 0; k < ELEMENTSOF(types); k++) {
                                sd_bus_message *m = NULL;

                                if (strcmp(types[k], v->type) == 0)
                                        continue;
                                if (types[k][0] == 'a')
                                        m = call_with(v->name, types[k], 0);
                                else if (types[k][0] == '(')
                                        m = call_with(v->name, types[k], "x", 0);
                                else if (types[k][0] == 'v')
                                        m = call_with(v->name, "v", "s", "x");
                                else if (strchr("so", types[k][0]))
                                        m = call_with(v->name, types[k], "/");
                                else
                                        m = call_with(v->name, types[k], (uint64_t)1);
                                check_refused(portal_methods[i].member, v->name,
                                              PORTAL_REBUILD_E_TYPE, m);
                        }
}

static void test_signature(void) {
        sd_bus_message *m = new_message();
        struct asked a = {0};

        CHECK(sd_bus_message_append(m, "ss", "", "") >= 0);
        seal(m);
        CHECK_EQ_INT(rebuild("OpenFile", &a, m, NULL, NULL), PORTAL_REBUILD_E_TYPE);
        m = new_message();
        CHECK(sd_bus_message_append(m, "ssa{sv}s", "", "", 0, "more") >= 0);
        seal(m);
        CHECK_EQ_INT(rebuild("OpenFile", &a, m, NULL, NULL), PORTAL_REBUILD_E_TYPE);
}

static void test_bytestrings(void) {
        check_refused("OpenFile", "current_folder", PORTAL_REBUILD_E_VALUE,
                      call_with("current_folder", "ay", 2, '/', 'a'));
        check_refused("OpenFile", "current_folder", PORTAL_REBUILD_E_VALUE,
                      call_with("current_folder", "ay", 0));
        check_refused("OpenFile", "current_folder", PORTAL_REBUILD_E_VALUE,
                      call_with("current_folder", "ay", 4, '/', 0, 'a', 0));
        check_refused("SaveFiles", "files", PORTAL_REBUILD_E_VALUE,
                      call_with("files", "aay", 2, 2, 'x', 0, 1, 'y'));
        check_passes("SaveFile", "current_file", call_with("current_file", "ay", 1, 0), "BYTE 0");
}

static void test_basenames(void) {
        static const char *const bad[] = {"", ".", "..", "a/b", "/", "/a", "a/"};
        char long_name[257];

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                check_refused("SaveFile", "current_name", PORTAL_REBUILD_E_VALUE,
                              call_with("current_name", "s", bad[i]));
        memset(long_name, 'n', 256);
        long_name[256] = '\0';
        check_refused("SaveFile", "current_name", PORTAL_REBUILD_E_VALUE,
                      call_with("current_name", "s", long_name));
        check_passes("SaveFile", "current_name", call_with("current_name", "s", long_name + 1),
                     "nnn");
        check_refused("SaveFiles", "files", PORTAL_REBUILD_E_VALUE,
                      call_with("files", "aay", 2, 2, 'x', 0, 3, '.', '.', 0));
        check_refused("SaveFiles", "files", PORTAL_REBUILD_E_VALUE,
                      call_with("files", "aay", 1, 4, 'x', '/', 'y', 0));
}

/* --- many and much ---------------------------------------------------------------------------- */

/* A call whose option is an array of n items, each appended by item(). */
static sd_bus_message *call_with_items(const char *key, const char *type, unsigned n,
                                       void (*item)(sd_bus_message *m, unsigned i)) {
        sd_bus_message *m = new_message();

        CHECK(sd_bus_message_append(m, "ss", "", "") >= 0);
        CHECK(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
        CHECK(sd_bus_message_open_container(m, 'e', "sv") >= 0);
        CHECK(sd_bus_message_append(m, "s", key) >= 0);
        CHECK(sd_bus_message_open_container(m, 'v', type) >= 0);
        CHECK(sd_bus_message_open_container(m, 'a', type + 1) >= 0);
        for (unsigned i = 0; i < n; i++)
                item(m, i);
        for (unsigned i = 0; i < 4; i++)
                CHECK(sd_bus_message_close_container(m) >= 0);
        seal(m);
        return m;
}

static void add_filter(sd_bus_message *m, _unused_ unsigned i) {
        CHECK(sd_bus_message_append(m, "(sa(us))", "f", 1, 0u, "*") >= 0);
}

static void add_byte(sd_bus_message *m, _unused_ unsigned i) {
        CHECK(sd_bus_message_append(m, "y", '/') >= 0);
}

/* 256 choices of 8 KiB each: every one within its bounds, together too much. */
static void add_large_choice(sd_bus_message *m, _unused_ unsigned i) {
        char text[LIMIT_TEXT_BYTES];

        memset(text, 'x', sizeof(text));
        text[sizeof(text) - 1] = '\0';
        CHECK(sd_bus_message_append(m, "(ssa(ss)s)", text, text, 2, text, text, text, text, text) >=
              0);
}

static void add_name(sd_bus_message *m, _unused_ unsigned i) {
        CHECK(sd_bus_message_append(m, "ay", 2, 'a', 0) >= 0);
}

static void test_limits(void) {
        check_passes("OpenFile", "filters",
                     call_with_items("filters", "a(sa(us))", LIMIT_ARRAY_ITEMS, add_filter),
                     "ARRAY");
        check_refused("OpenFile", "filters", PORTAL_REBUILD_E_VALUE,
                      call_with_items("filters", "a(sa(us))", LIMIT_ARRAY_ITEMS + 1, add_filter));
        check_refused("OpenFile", "current_folder", PORTAL_REBUILD_E_VALUE,
                      call_with_items("current_folder", "ay", LIMIT_STRING_BYTES + 1, add_byte));
        check_passes("OpenFile", "choices",
                     call_with_items("choices", "a(ssa(ss)s)", 16, add_large_choice), "xxx");
        check_refused("OpenFile", "choices", PORTAL_REBUILD_E_VALUE,
                      call_with_items("choices", "a(ssa(ss)s)", 250, add_large_choice));
        check_passes("SaveFiles", "files",
                     call_with_items("files", "aay", LIMIT_ARRAY_ITEMS, add_name), "BYTE 97");
        check_refused("SaveFiles", "files", PORTAL_REBUILD_E_VALUE,
                      call_with_items("files", "aay", LIMIT_ARRAY_ITEMS + 1, add_name));
}

static sd_bus_message *call_with_keys(unsigned n) {
        sd_bus_message *m = new_message();

        CHECK(sd_bus_message_append(m, "ss", "", "") >= 0);
        CHECK(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
        for (unsigned i = 0; i < n; i++)
                CHECK(sd_bus_message_append(m, "{sv}", i % 2 ? "modal" : "junk", "b", i == 1) >= 0);
        CHECK(sd_bus_message_close_container(m) >= 0);
        seal(m);
        return m;
}

/* Of equal keys the first counts, as in GVariant's look-up; and there cannot be too many. */
static void test_keys(void) {
        check_passes("OpenFile", "modal", call_with_keys(LIMIT_OPTION_KEYS), "BOOLEAN true");
        check_refused("OpenFile", "options", PORTAL_REBUILD_E_VALUE,
                      call_with_keys(LIMIT_OPTION_KEYS + 1));
}

static void add_true(sd_bus_message *m, _unused_ unsigned i) {
        CHECK(sd_bus_message_append(m, "b", 1) >= 0);
}

/* What nobody knows is stepped over, unless that would take long. */
static void test_skipping(void) {
        check_passes("OpenFile", "bytes", call_with_items("bytes", "ay", 100000, add_byte), NULL);
        check_passes("OpenFile", "flags",
                     call_with_items("flags", "ab", LIMIT_SKIPPED_VALUES - 2, add_true), NULL);
        check_refused("OpenFile", "options", PORTAL_REBUILD_E_VALUE,
                      call_with_items("flags", "ab", LIMIT_SKIPPED_VALUES, add_true));
}

static void test_strings(void) {
        _cleanup_free_ char *s = malloc(LIMIT_STRING_BYTES + 2);
        struct asked a = {0};

        memset(s, 's', LIMIT_STRING_BYTES + 1);
        s[LIMIT_STRING_BYTES + 1] = '\0';
        check_refused("OpenFile", "accept_label", PORTAL_REBUILD_E_VALUE,
                      call_with("accept_label", "s", s));
        check_refused("OpenFile", "handle_token", PORTAL_REBUILD_E_VALUE,
                      call_with("handle_token", "s", s));
        CHECK_EQ_INT(rebuild("OpenFile", &a, call_with("accept_label", "s", s + 1), NULL, NULL), 0);
}

/* What a person reads carries no character that deceives him. */
static void test_text(void) {
        sd_bus_message *m = new_message();
        struct asked a = {0};

        CHECK(sd_bus_message_append(m, "ssa{sv}", "x11:7",
                                    "a\xe2\x80\xae"
                                    "b\x1b\n",
                                    1, "accept_label", "s", "y\xe2\x80\xaez") >= 0);
        seal(m);
        {
                _cleanup_free_ char *text = NULL;

                CHECK_EQ_INT(rebuild("OpenFile", &a, m, &text, NULL), 0);
                CHECK(text && strstr(text, "\"yz\""));
        }
        CHECK_EQ_STR(a.title, "ab ");
        CHECK_EQ_STR(a.window, "x11:7");
}

/* --- translation ------------------------------------------------------------------------------ */

static void test_left_out(void) {
        _cleanup_free_ char *text = NULL;
        struct asked a = {.leave_out = true};

        CHECK_EQ_INT(rebuild("OpenFile", &a, call_with("current_folder", "ay", 3, '/', 'a', 0),
                             &text, NULL),
                     0);
        CHECK_EQ_STR(a.path, "/a");
        CHECK(!strstr(text, "current_folder") && !strstr(text, "Title") && !strstr(text, "x11"));
}

static void test_translate_fails(void) {
        struct asked a = {.result = PORTAL_REBUILD_E_VALUE};
        const char *culprit = NULL;

        CHECK_EQ_INT(rebuild("OpenFile", &a, call_with(NULL, NULL), NULL, &culprit),
                     PORTAL_REBUILD_E_VALUE);
        CHECK_EQ_STR(culprit, "parent_window");
        a.result = -ENOMEM;
        CHECK_EQ_INT(rebuild("OpenFile", &a, call_with(NULL, NULL), NULL, &culprit), -ENOMEM);
}

static void test_token(void) {
        _cleanup_(sd_bus_message_unrefp)
                sd_bus_message *in = call_with("handle_token", "s", "guest"),
                               *out = new_message();
        struct asked a = {0};
        struct portal_rebuild rb = {
                .method = portal_find_method(FC, "OpenFile"),
                .translate = translate,
                .userdata = &a,
                .handle_token = "ours",
        };
        _cleanup_free_ char *text = NULL;

        CHECK_EQ_INT(portal_rebuild_args(&rb, in, out), 0);
        seal(out);
        text = text_of(out);
        CHECK_EQ_STR(a.token, "guest");
        CHECK(strstr(text, "handle_token") && strstr(text, "\"ours\"") && !strstr(text, "guest"));
}

static void test_results(void) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *in = new_message(), *out = new_message();
        struct asked a = {0};
        struct portal_rebuild rb = {
                .method = portal_find_method(FC, "SaveFile"),
                .translate = translate,
                .userdata = &a,
        };
        _cleanup_free_ char *text = NULL;
        uint32_t response;

        CHECK(sd_bus_message_append(in, "ua{sv}", 0u, 4, "uris", "as", 2, "doc:1/a", "doc:2/b",
                                    "writable", "b", 1, "choices", "a(ss)", 1, "k", "v", "uris",
                                    "as", 1, "twice") >= 0);
        seal(in);
        CHECK(sd_bus_message_read(in, "u", &response) > 0);
        CHECK_EQ_INT(portal_rebuild_results(&rb, in, out), 0);
        seal(out);
        text = text_of(out);
        CHECK_EQ_INT(a.uris, 2);
        CHECK(strstr(text, "doc:2/b") && strstr(text, "choices"));
        CHECK(!strstr(text, "writable") && !strstr(text, "twice"));
}

static void test_out(void) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *in = new_message(), *out = new_message(),
                                                        *bad = new_message();
        struct portal_rebuild rb = {
                .method = portal_find_method(FC, "OpenFile"),
                .translate = translate,
        };
        const char *path = NULL;

        CHECK(sd_bus_message_append(in, "o", "/a/b") >= 0);
        seal(in);
        CHECK_EQ_INT(portal_rebuild_out(&rb, in, out), 0);
        seal(out);
        CHECK(sd_bus_message_read(out, "o", &path) > 0);
        CHECK_EQ_STR(path, "/a/b");
        CHECK(sd_bus_message_append(bad, "s", "/a/b") >= 0);
        seal(bad);
        CHECK_EQ_INT(portal_rebuild_out(&rb, bad, out), PORTAL_REBUILD_E_TYPE);
}

/* --- bodies as bytes -------------------------------------------------------------------------- */

/* { "current_folder": <ay "/d\0"> } of a call with empty strings, in either byte order. */
static size_t folder_body(uint8_t *b, char endian) {
        static const char key[] = "current_folder";

        memset(b, 0, 64);
        message_pipe_u32(b, 0, endian);
        message_pipe_u32(b + 8, 0, endian);
        message_pipe_u32(b + 16, 4 + 15 + 4 + 1 + 4 + 3, endian); /* behind its padding to 24 */
        message_pipe_u32(b + 24, sizeof(key) - 1, endian);
        memcpy(b + 28, key, sizeof(key));
        memcpy(b + 43, "\2ay", 4);
        message_pipe_u32(b + 48, 3, endian);
        memcpy(b + 52, "/d", 3);
        return 55;
}

static int rebuild_bytes(char endian, const uint8_t *body, size_t n, struct asked *a) {
        sd_bus_message *in = message_pipe_pass(&pipe_, endian, "ssa{sv}", body, n);

        CHECK(in);
        return in ? rebuild("OpenFile", a, in, NULL, NULL) : -1;
}

static void test_byte_orders(void) {
        for (const char *endian = "lB"; *endian; endian++) {
                struct asked a = {0};
                uint8_t body[64];
                size_t n = folder_body(body, *endian);

                CHECK_EQ_INT(rebuild_bytes(*endian, body, n, &a), 0);
                CHECK_EQ_STR(a.path, "/d");
        }
}

/* No body is our own failure: cut anywhere, or with any byte changed, it passes or is refused. */
static void test_broken_bodies(void) {
        unsigned refused = 0;
        uint8_t good[64];
        size_t n = folder_body(good, 'l');

        for (size_t i = 0; i < n; i++) {
                struct asked a = {0};
                int r = rebuild_bytes('l', good, i, &a);

                CHECK_EQ_INT(r, PORTAL_REBUILD_E_VALUE);
        }
        for (size_t i = 0; i < n; i++)
                for (unsigned bit = 0; bit < 8; bit++) {
                        struct asked a = {0};
                        uint8_t body[64];
                        int r;

                        memcpy(body, good, n);
                        body[i] ^= (uint8_t)(1u << bit);
                        r = rebuild_bytes('l', body, n, &a);
                        CHECK(r == 0 || r == PORTAL_REBUILD_E_VALUE || r == PORTAL_REBUILD_E_TYPE);
                        refused += r != 0;
                }
        CHECK(refused > 100);
}

static const struct test tests[] = {
        {"known options", test_good},
        {"unknown options", test_unknown},
        {"wrong types", test_wrong_types},
        {"wrong signature", test_signature},
        {"byte strings", test_bytestrings},
        {"base names", test_basenames},
        {"limits", test_limits},
        {"keys", test_keys},
        {"skipping", test_skipping},
        {"strings", test_strings},
        {"text", test_text},
        {"left out", test_left_out},
        {"translation fails", test_translate_fails},
        {"handle token", test_token},
        {"results", test_results},
        {"values of a plain call", test_out},
        {"byte orders", test_byte_orders},
        {"broken bodies", test_broken_bodies},
};

int main(void) {
        int r;

        message_pipe_init(&pipe_);
        r = test_run(tests, ELEMENTSOF(tests));
        message_pipe_done(&pipe_);
        return r;
}
