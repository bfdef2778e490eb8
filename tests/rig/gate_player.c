/* SPDX-License-Identifier: MIT */
/*
 * Plays sbsupervisor for one sbportal: starts it on an ordinary bus, and is its gate.
 *
 *   gate_player SBPORTAL BUS-SOCKET DOCUMENTS [windows]
 *
 * Commands come as lines on stdin, what happens is printed as lines on stdout; a message
 * is printed as sd-bus dumps it, each line after "| ", and what can be read from its descriptors
 * after "fd ".
 *
 * A body is given as its signature and words: an array is the number of its items and the items,
 * a variant its type and the value.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/portal_table.h"
#include "ipc/ipc.h"

#define HELD_MAX 64

struct player {
        sd_event *event;
        sd_bus *gate;
        struct ipc_chan ipc;
        sd_event_source *ipc_source;
        unsigned n_requests;
        bool hold, hold_properties;
        char next_error[128];  /* answer the next call with this error */
        char next_handle[256]; /* or with this object path */
        char next_body[4096];  /* or, if it is a plain one, with this body */
        char absent[128];      /* an interface that the host lacks */
        uint32_t version;      /* of all others */
        sd_bus_message *held[HELD_MAX];
        unsigned n_held;
};

static void check(int r, const char *what) {
        if (r >= 0)
                return;
        fprintf(stderr, "gate_player: %s: %s\n", what, strerror(-r));
        exit(EXIT_FAILURE);
}

static void dump_line(const char *line) {
        const char *fd = strstr(line, "UNIX_FD ");
        char buf[64];
        ssize_t n;

        printf("| %s\n", line);
        if (!fd)
                return;
        n = read((int)strtol(fd + strlen("UNIX_FD "), NULL, 10), buf, sizeof(buf) - 1);
        printf("fd %.*s\n", n > 0 ? (int)n : 0, buf);
}

static void dump(sd_bus_message *m) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        assert(f);
        check(sd_bus_message_dump(m, f, SD_BUS_MESSAGE_DUMP_SUBTREE_ONLY), "dump");
        fclose(f);
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
                dump_line(line);
        (void)sd_bus_message_rewind(m, true);
}

/* --- bodies ----------------------------------------------------------------------------------- */

/* The length of the complete type at the start of s. */
static size_t type_length(const char *s) {
        size_t n = 1, depth;

        if (*s == 'a')
                return 1 + type_length(s + 1);
        if (*s != '(' && *s != '{')
                return 1;
        for (depth = 1; depth > 0; n++)
                depth += strchr("({", s[n]) ? 1 : strchr(")}", s[n]) ? -1 : 0;
        return n;
}

static const char *next_word(void) {
        const char *word = strtok(NULL, " ");

        assert(word);
        return word;
}

/* Values of the types in signature, from the words of strtok(). */
static void append_words(sd_bus_message *m, const char *signature);

static void append_container(sd_bus_message *m, const char *type, size_t n) {
        char contents[256];
        unsigned items = 1;

        (void)snprintf(contents, sizeof(contents), "%.*s", (int)(n - 2), type + 1);
        if (*type == 'a')
                (void)snprintf(contents, sizeof(contents), "%.*s", (int)(n - 1), type + 1);
        if (*type == 'v')
                (void)snprintf(contents, sizeof(contents), "%s", next_word());
        if (*type == 'a')
                items = (unsigned)strtoul(next_word(), NULL, 10);
        check(sd_bus_message_open_container(m,
                                            *type == '('   ? 'r'
                                            : *type == '{' ? 'e'
                                                           : *type,
                                            contents),
              "container");
        while (items-- > 0)
                append_words(m, contents);
        check(sd_bus_message_close_container(m), "container");
}

static void append_basic(sd_bus_message *m, char type) {
        const char *word = next_word();
        union {
                uint8_t y;
                int32_t i;
                int64_t x;
                double d;
        } u = {.x = 0};

        if (strchr("so", type)) { /* "-" is an empty string */
                check(sd_bus_message_append_basic(m, type, strcmp(word, "-") == 0 ? "" : word),
                      word);
                return;
        }
        if (type == 'd')
                u.d = strtod(word, NULL);
        else if (strchr("xt", type))
                u.x = strtoll(word, NULL, 10);
        else if (type == 'y')
                u.y = (uint8_t)strtoul(word, NULL, 10);
        else
                u.i = (int32_t)strtoll(word, NULL, 10);
        check(sd_bus_message_append_basic(m, type, &u), word);
}

static void append_words(sd_bus_message *m, const char *signature) {
        for (size_t n; *signature; signature += n) {
                n = type_length(signature);
                if (strchr("a({v", *signature))
                        append_container(m, signature, n);
                else
                        append_basic(m, *signature);
        }
}

/* text: a signature ("-": none) and words. */
static void append_body(sd_bus_message *m, char *text) {
        const char *signature = strtok(text, " ");

        if (signature && strcmp(signature, "-") != 0)
                append_words(m, signature);
}

/* --- the gate --------------------------------------------------------------------------------- */

static void answer_request(struct player *p, sd_bus_message *m) {
        char path[256];

        (void)snprintf(path, sizeof(path), PORTAL_GATE_REQUEST_PATH "/r%u", ++p->n_requests);
        if (*p->next_handle) {
                (void)snprintf(path, sizeof(path), "%s", p->next_handle);
                *p->next_handle = '\0';
        }
        printf("reply r%u\n", p->n_requests);
        if (*p->next_error) {
                check(sd_bus_reply_method_errorf(m, p->next_error, "as the test wants it"),
                      "reply");
                *p->next_error = '\0';
        } else {
                check(sd_bus_reply_method_return(m, "o", path), "reply");
        }
}

static void answer_call(struct player *p, sd_bus_message *m) {
        sd_bus_message *reply = NULL;

        printf("answered\n");
        if (*p->next_error) {
                check(sd_bus_reply_method_errorf(m, p->next_error, "as the test wants it"),
                      "reply");
                *p->next_error = '\0';
                return;
        }
        check(sd_bus_message_new_method_return(m, &reply), "reply");
        append_body(reply, p->next_body);
        *p->next_body = '\0';
        check(sd_bus_send(p->gate, reply, NULL), "reply");
        sd_bus_message_unref(reply);
}

static void answer(struct player *p, sd_bus_message *m) {
        const struct portal_method *method =
                portal_find_method(sd_bus_message_get_interface(m), sd_bus_message_get_member(m));

        if (method && (method->kind == PORTAL_IS_REQUEST || method->kind == PORTAL_LASTS))
                answer_request(p, m);
        else
                answer_call(p, m);
}

static void answer_property(struct player *p, sd_bus_message *m) {
        const char *interface, *name = NULL;

        check(sd_bus_message_rewind(m, true), "rewind");
        check(sd_bus_message_read(m, "s", &interface), "read");
        if (sd_bus_message_is_method_call(m, NULL, "Get"))
                check(sd_bus_message_read(m, "s", &name), "read");
        if (strcmp(interface, p->absent) == 0)
                check(sd_bus_reply_method_errorf(m, SD_BUS_ERROR_UNKNOWN_INTERFACE, "absent"),
                      "reply");
        else if (!name)
                check(sd_bus_reply_method_return(m, "a{sv}", 2, "version", "u", p->version,
                                                 "Secret", "s", "host"),
                      "reply");
        else if (strcmp(name, "version") == 0)
                check(sd_bus_reply_method_return(m, "v", "u", p->version), "reply");
        else
                answer_call(p, m);
}

static bool is_property(sd_bus_message *m) {
        return sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", NULL);
}

static void on_property(struct player *p, sd_bus_message *m) {
        const char *interface, *name = "";

        check(sd_bus_message_read(m, "s", &interface), "read");
        if (sd_bus_message_is_method_call(m, NULL, "Get"))
                check(sd_bus_message_read(m, "s", &name), "read");
        printf("%s %s %s\n", *name ? "get" : "get-all", interface, name);
        if (p->hold_properties && p->n_held < HELD_MAX)
                p->held[p->n_held++] = sd_bus_message_ref(m);
        else
                answer_property(p, m);
}

static int on_message(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *e) {
        struct player *p = userdata;
        uint8_t type;

        (void)sd_bus_message_get_type(m, &type);
        if (type != SD_BUS_MESSAGE_METHOD_CALL)
                return 1;
        if (sd_bus_message_is_method_call(m, PORTAL_REQUEST, "Close")) {
                printf("close %s\n", strrchr(sd_bus_message_get_path(m), '/') + 1);
                return 1;
        }
        if (sd_bus_message_is_method_call(m, PORTAL_SESSION_IFACE, "Close")) {
                printf("close-session %s\n", strrchr(sd_bus_message_get_path(m), '/') + 1);
                return 1;
        }
        if (is_property(m)) {
                on_property(p, m);
                return 1;
        }
        printf("call %s %s\n", sd_bus_message_get_member(m), sd_bus_message_get_path(m));
        dump(m);
        printf("end\n");
        if (p->hold && p->n_held < HELD_MAX)
                p->held[p->n_held++] = sd_bus_message_ref(m);
        else
                answer(p, m);
        return 1;
}

/* --- commands --------------------------------------------------------------------------------- */

static void do_hold(struct player *p, _unused_ char *args) {
        p->hold = true;
}

static void do_hold_properties(struct player *p, _unused_ char *args) {
        p->hold_properties = true;
}

static void do_release(struct player *p, _unused_ char *args) {
        p->hold = p->hold_properties = false;
        for (unsigned i = 0; i < p->n_held; i++) {
                if (is_property(p->held[i]))
                        answer_property(p, p->held[i]);
                else
                        answer(p, p->held[i]);
                sd_bus_message_unref(p->held[i]);
        }
        p->n_held = 0;
}

static void do_error(struct player *p, char *args) {
        (void)snprintf(p->next_error, sizeof(p->next_error), "%s", args);
}

static void do_handle(struct player *p, char *args) {
        (void)snprintf(p->next_handle, sizeof(p->next_handle), "%s", args);
}

/* body SIGNATURE WORD...: of the answer to the next plain call. */
static void do_body(struct player *p, char *args) {
        (void)snprintf(p->next_body, sizeof(p->next_body), "%s", args);
}

static void do_absent(struct player *p, char *args) {
        (void)snprintf(p->absent, sizeof(p->absent), "%s", args);
}

static void do_version(struct player *p, char *args) {
        p->version = (uint32_t)strtoul(args, NULL, 10);
}

/* signal PATH INTERFACE MEMBER SIGNATURE WORD... */
static void do_signal(struct player *p, char *args) {
        const char *path = strtok(args, " "), *interface = strtok(NULL, " ");
        sd_bus_message *m = NULL;

        check(sd_bus_message_new_signal(p->gate, &m, path, interface, strtok(NULL, " ")), "signal");
        append_body(m, NULL);
        check(sd_bus_send(p->gate, m, NULL), "send");
        sd_bus_message_unref(m);
}

static sd_bus_message *new_response(struct player *p, const char *token) {
        sd_bus_message *m = NULL;
        char path[256];

        (void)snprintf(path, sizeof(path), PORTAL_GATE_REQUEST_PATH "/%s", token);
        check(sd_bus_message_new_signal(p->gate, &m, path, PORTAL_REQUEST, "Response"), "signal");
        return m;
}

/* respond TOKEN CODE URI...: also carries a key no portal has. */
static void do_respond(struct player *p, char *args) {
        const char *token = strtok(args, " "), *code = strtok(NULL, " ");
        sd_bus_message *m = new_response(p, token);

        check(sd_bus_message_append(m, "u", (uint32_t)strtoul(code, NULL, 10)), "code");
        check(sd_bus_message_open_container(m, 'a', "{sv}"), "dict");
        check(sd_bus_message_append(m, "{sv}", "writable", "b", 1), "writable");
        check(sd_bus_message_open_container(m, 'e', "sv"), "entry");
        check(sd_bus_message_append(m, "s", "uris"), "key");
        check(sd_bus_message_open_container(m, 'v', "as"), "variant");
        check(sd_bus_message_open_container(m, 'a', "s"), "array");
        for (const char *uri; (uri = strtok(NULL, " "));)
                check(sd_bus_message_append(m, "s", uri), "uri");
        for (unsigned i = 0; i < 3; i++)
                check(sd_bus_message_close_container(m), "close");
        check(sd_bus_message_append(m, "{sv}", "choices", "a(ss)", 1, "encoding", "utf8"),
              "choices");
        check(sd_bus_message_close_container(m), "close");
        check(sd_bus_send(p->gate, m, NULL), "send");
        sd_bus_message_unref(m);
}

/* A Response whose results are not of the agreed form. */
static void do_respond_badly(struct player *p, char *args) {
        sd_bus_message *m = new_response(p, args);

        check(sd_bus_message_append(m, "ua{sv}", 0u, 1, "uris", "s", "doc:1/x"), "body");
        check(sd_bus_send(p->gate, m, NULL), "send");
        sd_bus_message_unref(m);
}

static int on_call_answer(sd_bus_message *m, _unused_ void *userdata, _unused_ sd_bus_error *e) {
        const sd_bus_error *error = sd_bus_message_get_error(m);

        printf("answer %s\n", error ? error->name : "ok");
        return 1;
}

/* call PATH INTERFACE MEMBER: the gate asks sbportal for something, which it never should. */
static void do_call(struct player *p, char *args) {
        const char *path = strtok(args, " "), *interface = strtok(NULL, " ");

        check(sd_bus_call_method_async(p->gate, NULL, NULL, path, interface, strtok(NULL, " "),
                                       on_call_answer, NULL, NULL),
              "call");
}

static void do_drop_gate(struct player *p, _unused_ char *args) {
        p->gate = sd_bus_flush_close_unref(p->gate);
}

static void do_drop_ipc(struct player *p, _unused_ char *args) {
        p->ipc_source = sd_event_source_disable_unref(p->ipc_source);
        p->ipc.fd = fd_close(p->ipc.fd);
}

/* ipc BYTES: a packet that is no message. */
static void do_ipc(struct player *p, char *args) {
        (void)!send(p->ipc.fd, args, strlen(args), MSG_NOSIGNAL);
}

static const struct {
        const char *name;
        void (*fn)(struct player *p, char *args);
} commands[] = {
        {"hold", do_hold},
        {"release", do_release},
        {"error", do_error},
        {"handle", do_handle},
        {"respond", do_respond},
        {"respond-badly", do_respond_badly},
        {"call", do_call},
        {"drop-gate", do_drop_gate},
        {"drop-ipc", do_drop_ipc},
        {"ipc", do_ipc},
        {"body", do_body},
        {"absent", do_absent},
        {"version", do_version},
        {"signal", do_signal},
        {"hold-properties", do_hold_properties},
};

static void run_command(struct player *p, char *line) {
        size_t n = strcspn(line, " \n");

        line[strcspn(line, "\n")] = '\0';
        for (size_t i = 0; i < ELEMENTSOF(commands); i++)
                if (strlen(commands[i].name) == n && memcmp(line, commands[i].name, n) == 0) {
                        commands[i].fn(p, line[n] ? line + n + 1 : line + n);
                        printf("done %s\n", commands[i].name);
                        return;
                }
        fprintf(stderr, "gate_player: unknown command \"%s\"\n", line);
        exit(EXIT_FAILURE);
}

static int on_stdin(_unused_ sd_event_source *s, int fd, _unused_ uint32_t events, void *userdata) {
        struct player *p = userdata;
        char buf[4096];
        ssize_t n = read(fd, buf, sizeof(buf) - 1); /* the test waits for "done" between commands */

        if (n <= 0)
                return sd_event_exit(p->event, 0);
        buf[n] = '\0';
        run_command(p, buf);
        return 0;
}

/* --- start ------------------------------------------------------------------------------------ */

static int on_ipc(_unused_ sd_event_source *s, _unused_ int fd, _unused_ uint32_t events,
                  void *userdata) {
        struct player *p = userdata;
        struct ipc_msg m;
        int r = ipc_recv(&p->ipc, &m);

        if (r == IPC_E_GONE)
                p->ipc_source = sd_event_source_disable_unref(p->ipc_source);
        else if (r == 0)
                printf("ipc %s\n", ipc_type_name(m.type));
        ipc_msg_done(&m);
        return 0;
}

static int on_child(_unused_ sd_event_source *s, const siginfo_t *si, _unused_ void *userdata) {
        printf("%s %d\n", si->si_code == CLD_EXITED ? "exit" : "killed", si->si_status);
        return 0;
}

static int connect_bus(const char *path) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
        if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
                check(-errno, path);
        return fd;
}

static void start_portal(struct player *p, const char *program, int ipc_fd) {
        sigset_t empty;
        pid_t pid = fork();

        check(pid < 0 ? -errno : 0, "fork");
        if (pid == 0) {
                sigemptyset(&empty);
                sigprocmask(SIG_SETMASK, &empty, NULL);
                dup2(ipc_fd, 3);
                execl(program, program, "--ipc-fd", "3", NULL);
                _exit(127);
        }
        printf("pid %d\n", pid);
        check(sd_event_add_child(p->event, NULL, pid, WEXITED, on_child, p), "child");
}

static void start_gate(struct player *p, int fd) {
        sd_id128_t id;

        check(sd_id128_randomize(&id), "id");
        check(sd_bus_new(&p->gate), "bus");
        check(sd_bus_set_fd(p->gate, fd, fd), "fd");
        check(sd_bus_set_server(p->gate, 1, id), "server");
        check(sd_bus_negotiate_fds(p->gate, 1), "fds");
        check(sd_bus_start(p->gate), "start");
        check(sd_bus_add_filter(p->gate, NULL, on_message, p), "filter");
        check(sd_bus_attach_event(p->gate, p->event, 0), "attach");
}

int main(int argc, char **argv) {
        struct ipc_portal_config config = {.abi = IPC_ABI};
        struct ipc_chan portal_end;
        struct player p = {.version = 4};
        int gate[2], fds[2];
        sigset_t child;

        if (argc < 4)
                return EXIT_FAILURE;
        setvbuf(stdout, NULL, _IOLBF, 0);
        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        sigprocmask(SIG_BLOCK, &child, NULL);
        check(sd_event_new(&p.event), "event");
        check(ipc_pair(IPC_SUPERVISOR, IPC_PORTAL, &p.ipc, &portal_end), "ipc");
        check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gate) < 0 ? -errno : 0, "gate");
        start_portal(&p, argv[1], portal_end.fd);
        start_gate(&p, gate[0]);
        (void)close(portal_end.fd);

        memset(config.machine_id, 0xab, sizeof(config.machine_id));
        if (argc > 4 && strcmp(argv[4], "windows") == 0)
                config.flags = IPC_PORTAL_PASS_WINDOWS;
        fds[0] = connect_bus(argv[2]);
        fds[1] = gate[1];
        check(ipc_send_PORTAL_CONFIG(&p.ipc, &config, argv[3], strlen(argv[3]), fds, 2), "config");
        (void)close(fds[0]);
        (void)close(fds[1]);

        check(sd_event_add_io(p.event, &p.ipc_source, p.ipc.fd, POLLIN, on_ipc, &p), "ipc");
        check(sd_event_add_io(p.event, NULL, STDIN_FILENO, POLLIN, on_stdin, &p), "stdin");
        check(sd_event_loop(p.event), "loop");
        do_drop_ipc(&p, NULL);
        do_drop_gate(&p, NULL);
        sd_event_unref(p.event);
        return EXIT_SUCCESS;
}
