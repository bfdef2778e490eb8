/* SPDX-License-Identifier: MIT */
/*
 * Plays sbsupervisor for one sbportal: starts it on an ordinary bus, and is its gate.
 *
 *   gate_player SBPORTAL BUS-SOCKET DOCUMENTS [windows]
 *
 * Commands come as lines on stdin, what happens is printed as lines on stdout; a message
 * is printed as sd-bus dumps it, each line after "| ".
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
        bool hold;
        char next_error[128];  /* answer the next call with this error */
        char next_handle[256]; /* or with this object path */
        sd_bus_message *held[HELD_MAX];
        unsigned n_held;
};

static void check(int r, const char *what) {
        if (r >= 0)
                return;
        fprintf(stderr, "gate_player: %s: %s\n", what, strerror(-r));
        exit(EXIT_FAILURE);
}

static void dump(sd_bus_message *m) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        assert(f);
        check(sd_bus_message_dump(m, f, SD_BUS_MESSAGE_DUMP_SUBTREE_ONLY), "dump");
        fclose(f);
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
                printf("| %s\n", line);
        (void)sd_bus_message_rewind(m, true);
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

static void answer_property(sd_bus_message *m) {
        const char *interface, *name;

        if (sd_bus_message_is_method_call(m, NULL, "Get")) {
                check(sd_bus_message_read(m, "ss", &interface, &name), "read");
                printf("get %s %s\n", interface, name);
                check(sd_bus_reply_method_return(m, "v", "u", 4u), "reply");
        } else {
                check(sd_bus_message_read(m, "s", &interface), "read");
                printf("get-all %s\n", interface);
                check(sd_bus_reply_method_return(m, "a{sv}", 2, "version", "u", 4u, "Secret", "s",
                                                 "host"),
                      "reply");
        }
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
        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", NULL)) {
                answer_property(m);
                return 1;
        }
        printf("call %s %s\n", sd_bus_message_get_member(m), sd_bus_message_get_path(m));
        dump(m);
        printf("end\n");
        if (p->hold && p->n_held < HELD_MAX)
                p->held[p->n_held++] = sd_bus_message_ref(m);
        else
                answer_request(p, m);
        return 1;
}

/* --- commands --------------------------------------------------------------------------------- */

static void do_hold(struct player *p, _unused_ char *args) {
        p->hold = true;
}

static void do_release(struct player *p, _unused_ char *args) {
        p->hold = false;
        for (unsigned i = 0; i < p->n_held; i++) {
                answer_request(p, p->held[i]);
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
        {"hold", do_hold},     {"release", do_release},     {"error", do_error},
        {"handle", do_handle}, {"respond", do_respond},     {"respond-badly", do_respond_badly},
        {"call", do_call},     {"drop-gate", do_drop_gate}, {"drop-ipc", do_drop_ipc},
        {"ipc", do_ipc},
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
        struct player p = {0};
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
