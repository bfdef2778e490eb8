/* SPDX-License-Identifier: MIT */
#include "sbagent/config.h"

#include "common/log.h"
#include "tests/test.h"

static char last_line[2048];

static void keep_line(int priority, const char *line) {
        (void)priority;
        (void)snprintf(last_line, sizeof(last_line), "%s", line);
}

static int resolve(const struct config_values *v, struct config *c) {
        int r;

        last_line[0] = '\0';
        log_set_sink(keep_line);
        r = config_resolve(v, c);
        log_set_sink(NULL);
        return r;
}

static void test_defaults(void) {
        struct config_values v = {.given[SETTING_PORT][CONFIG_CREDENTIAL] = "1337"};
        struct config c;

        CHECK_EQ_INT(resolve(&v, &c), 0);
        CHECK_EQ_STR(c.host, "vsock:2:1337");
        CHECK_EQ_INT(c.connect.kind, ADDRESS_VSOCK);
        CHECK_EQ_INT(c.connect.cid, 2);
        CHECK_EQ_INT(c.mode, 0600);
        CHECK_EQ_INT(c.connect_timeout, 5000000);
        CHECK_EQ_INT(c.half_close_timeout, 30000000);
        CHECK(!c.has_listen);
}

/* For every setting each source beats those after it, and a bad value is not passed over. */
static void test_precedence(void) {
        static const struct {
                enum setting s;
                const char *values[N_CONFIG_SOURCES], *bad;
        } rows[] = {
                {SETTING_LISTEN, {"unix:/1", "unix:/2", "unix:/3"}, "vsock:1"},
                {SETTING_MODE, {"0601", "0602", "0603"}, "0888"},
                {SETTING_CONNECT, {"unix:/1", "unix:/2", "unix:/3"}, "unix:x"},
                {SETTING_PORT, {"1", "2", "3"}, "0"},
                {SETTING_CID, {"1", "2", "3"}, "-1"},
                {SETTING_CONNECT_TIMEOUT, {"1", "2", "3"}, "soon"},
                {SETTING_HALF_CLOSE_TIMEOUT, {"1", "2", "3"}, "1e9"},
        };

        static const char *const sources[] = {"option ", "environment ", "credential "};

        CHECK_EQ_INT(ELEMENTSOF(rows), N_SETTINGS);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                for (size_t first = 0; first < N_CONFIG_SOURCES; first++) {
                        struct config_values v = {0};
                        struct config c;
                        unsigned long long got;

                        if (rows[i].s != SETTING_CONNECT)
                                v.given[SETTING_PORT][CONFIG_CREDENTIAL] = "9";
                        for (size_t s = first; s < N_CONFIG_SOURCES; s++)
                                v.given[rows[i].s][s] = rows[i].values[s];
                        CHECK_EQ_INT(resolve(&v, &c), 0);
                        got = (unsigned long long[N_SETTINGS]){
                                [SETTING_LISTEN] = (unsigned)(c.listen.path[1] - '0'),
                                [SETTING_MODE] = c.mode & 7,
                                [SETTING_CONNECT] = (unsigned)(c.connect.path[1] - '0'),
                                [SETTING_PORT] = c.connect.port,
                                [SETTING_CID] = c.connect.cid,
                                [SETTING_CONNECT_TIMEOUT] = c.connect_timeout / 1000000,
                                [SETTING_HALF_CLOSE_TIMEOUT] = c.half_close_timeout / 1000000,
                        }[rows[i].s];
                        CHECK_EQ_INT(got, first + 1);
                        /* A bad one is found wherever it is, whether it counts or not. */
                        for (size_t s = 0; s < N_CONFIG_SOURCES; s++) {
                                struct config_values bad = v;

                                bad.given[rows[i].s][s] = rows[i].bad;
                                CHECK_EQ_INT(resolve(&bad, &c), CONFIG_E_VALUE);
                                CHECK(strstr(last_line, rows[i].bad));
                                CHECK(strncmp(last_line, sources[s], strlen(sources[s])) == 0);
                        }
                }
        }
}

/* connect and port are two ways to say one thing: the higher source wins. */
static void test_connect_or_port(void) {
        struct config_values v = {0};
        struct config c;

        v.given[SETTING_CONNECT][CONFIG_ENVIRONMENT] = "unix:/h";
        v.given[SETTING_PORT][CONFIG_CREDENTIAL] = "7";
        v.given[SETTING_CID][CONFIG_CREDENTIAL] = "3"; /* goes with the port: is overridden too */
        CHECK_EQ_INT(resolve(&v, &c), 0);
        CHECK_EQ_STR(c.host, "unix:/h");
        v.given[SETTING_PORT][CONFIG_OPTION] = "8";
        v.given[SETTING_CID][CONFIG_CREDENTIAL] = "3";
        CHECK_EQ_INT(resolve(&v, &c), 0);
        CHECK_EQ_STR(c.host, "vsock:3:8");
        v.given[SETTING_CONNECT][CONFIG_OPTION] = "vsock:9";
        CHECK_EQ_INT(resolve(&v, &c), CONFIG_E_VALUE);
        CHECK_EQ_STR(last_line, "option --connect and --port: give one of them");
        v.given[SETTING_PORT][CONFIG_OPTION] = NULL;
        CHECK_EQ_INT(resolve(&v, &c), 0);
        CHECK_EQ_STR(c.host, "vsock:2:9");
}

/* A cid that nothing would use is not passed over. */
static void test_connect_and_cid(void) {
        struct config_values v = {0};
        struct config c;

        v.given[SETTING_CONNECT][CONFIG_OPTION] = "unix:/h";
        v.given[SETTING_CID][CONFIG_OPTION] = "3";
        CHECK_EQ_INT(resolve(&v, &c), CONFIG_E_VALUE);
        CHECK_EQ_STR(last_line, "option --connect and --cid: give one of them");
        v.given[SETTING_PORT][CONFIG_CREDENTIAL] = "7";
        CHECK_EQ_INT(resolve(&v, &c), CONFIG_E_VALUE);
        v.given[SETTING_CID][CONFIG_OPTION] = NULL;
        v.given[SETTING_CID][CONFIG_ENVIRONMENT] = "3";
        CHECK_EQ_INT(resolve(&v, &c), 0);
        CHECK_EQ_STR(c.host, "unix:/h");
        v.given[SETTING_CONNECT][CONFIG_OPTION] = NULL;
        v.given[SETTING_PORT][CONFIG_CREDENTIAL] = NULL;
        v.given[SETTING_CONNECT][CONFIG_CREDENTIAL] = "unix:/h";
        CHECK_EQ_INT(resolve(&v, &c), CONFIG_E_VALUE);
        CHECK_EQ_STR(last_line,
                     "credential sidebus.connect and environment SIDEBUS_CID: give one of them");
}

static void test_nothing(void) {
        struct config_values v = {.given[SETTING_CID][CONFIG_OPTION] = "2"};
        struct config c;

        CHECK_EQ_INT(resolve(&v, &c), CONFIG_E_VALUE);
        CHECK(strstr(last_line, "sidebus.port") && strstr(last_line, "--connect"));
}

static void check_bad(enum setting s, const char *value, const char *source) {
        struct config_values v = {.given[SETTING_PORT][CONFIG_CREDENTIAL] = "1"};
        struct config c = {.mode = 7};
        int r;

        v.given[s][CONFIG_ENVIRONMENT] = value;
        r = resolve(&v, &c);
        if (r == 0)
                printf("# accepted: %s\n", value);
        CHECK_EQ_INT(r, CONFIG_E_VALUE);
        CHECK(strncmp(last_line, source, strlen(source)) == 0);
        CHECK(!strchr(last_line, '\n'));
        CHECK_EQ_INT(c.mode, 7); /* untouched */
}

static void test_bad_values(void) {
        static const char *const seconds[] = {"",         ".5",    "5.", "5.0001", "0", "0.000",
                                              "3600.001", "99999", "1 ", "-1",     "1s"};
        static const char *const ports[] = {
                "",   "0",   "4294967295", "1:2",
                " 1", "1\n", "0x1",        "111111111111111111111111111111111111111111111"};
        static const char *const modes[] = {"", "1777", "8", "0o66", "00600", "-1"};

        for (size_t i = 0; i < ELEMENTSOF(seconds); i++)
                check_bad(SETTING_CONNECT_TIMEOUT, seconds[i],
                          "environment SIDEBUS_CONNECT_TIMEOUT: ");
        for (size_t i = 0; i < ELEMENTSOF(ports); i++)
                check_bad(SETTING_PORT, ports[i], "environment SIDEBUS_PORT: ");
        for (size_t i = 0; i < ELEMENTSOF(modes); i++)
                check_bad(SETTING_MODE, modes[i], "environment SIDEBUS_MODE: ");
        check_bad(SETTING_LISTEN, "\n<0>unix:/x", "environment SIDEBUS_LISTEN: ");
}

static void test_seconds(void) {
        static const struct {
                const char *s;
                uint64_t us;
        } rows[] = {{"1", 1000000},
                    {"0.001", 1000},
                    {"0.25", 250000},
                    {"3600", 3600000000},
                    {"12.5", 12500000}};

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct config_values v = {.given[SETTING_PORT][CONFIG_CREDENTIAL] = "1"};
                struct config c;

                v.given[SETTING_HALF_CLOSE_TIMEOUT][CONFIG_OPTION] = rows[i].s;
                CHECK_EQ_INT(resolve(&v, &c), 0);
                CHECK_EQ_INT(c.half_close_timeout, rows[i].us);
        }
}

TEST_MAIN({"defaults", test_defaults}, {"precedence of every setting", test_precedence},
          {"connect or port", test_connect_or_port},
          {"connect and cid", test_connect_and_cid}, {"no host named", test_nothing},
          {"bad values name their source", test_bad_values}, {"seconds", test_seconds})
