/* SPDX-License-Identifier: MIT */
#include "sbagent/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-id128.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/greeting.h"
#include "common/listen.h"
#include "common/log.h"
#include "sbagent/agent.h"
#include "sbagent/refusal.h"

#define SECOND         UINT64_C(1000000)
#define TIMER_ACCURACY 10000u

enum {
        CLIENT_E_OVER = 1, /* this client ends; the agent goes on */
};

/* Handlers return 0, CLIENT_E_OVER or a negative errno (ours: no memory); then c is freed. */
struct state {
        int (*on_guest)(struct client *c, uint32_t revents);
        int (*on_host)(struct client *c, uint32_t revents);
        int (*on_timer)(struct client *c);
};
static const struct state states[N_CLIENT_STATES];

static int on_guest(sd_event_source *s, int fd, uint32_t revents, void *userdata);
static int on_host(sd_event_source *s, int fd, uint32_t revents, void *userdata);

/* --- sources and timers -------------------------------------------------------------------- */

/*
 * Hang-up is reported whatever is asked for; once it was seen and there is nothing
 * to ask for, the source must be off or the loop would spin.
 */
static int watch(struct client_end *end, uint32_t events) {
        int r;

        if (!end->io)
                return 0;
        r = sd_event_source_set_io_events(end->io, events);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(end->io,
                                           events == 0 && end->gone ? SD_EVENT_OFF : SD_EVENT_ON);
}

static void end_close(struct client_end *end) {
        end->io = sd_event_source_disable_unref(end->io);
        end->fd = fd_close(end->fd);
        end->gone = false;
}

static int set_timer(struct client *c, uint64_t at) {
        int r = sd_event_source_set_time(c->timer, at);

        return r < 0 ? r : sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
}

static void finish(struct client *c, int r) {
        if (r < 0)
                (void)log_error_errno(r, "a client of uid %u is cut off", c->credentials.uid);
        if (r != 0)
                client_free(c);
}

/* --- refusing ------------------------------------------------------------------------------ */

/* From any state before RELAYING; nothing of the client was read yet. */
static int refuse(struct client *c, const char *text) {
        char guid[SD_ID128_STRING_MAX];
        sd_id128_t id;
        int r;

        end_close(&c->host);
        flow_done(&c->up);
        c->refusal = malloc(sizeof(*c->refusal));
        if (!c->refusal)
                return -ENOMEM;
        r = sd_id128_randomize(&id);
        if (r < 0)
                return r;
        refusal_init(c->refusal, sd_id128_to_string(id, guid), text);
        c->state = CLIENT_REFUSING;
        r = set_timer(c, agent_now(c->agent) + LIMIT_AGENT_REFUSAL_SECONDS * SECOND);
        return r < 0 ? r : watch(&c->guest, EPOLLIN);
}

static int refuse_no_host(struct client *c) {
        char text[REFUSAL_TEXT];

        (void)snprintf(text, sizeof(text),
                       "sidebus: the host does not answer on %s (%s); is sidebus@VM running on the "
                       "host?",
                       c->agent->config->host, c->agent->reason);
        return refuse(c, text);
}

static int refuse_flush(struct client *c) {
        bool moved;
        int r = 0;

        if (flow_wants_write(&c->down) || c->down.eof)
                r = flow_move(&c->down, -1, c->guest.fd, NULL, 0, &moved);
        if (r < 0 || c->down.broken)
                return r < 0 ? r : CLIENT_E_OVER;
        if (c->down.shut) {
                c->state = CLIENT_LINGERING;
                r = set_timer(c, agent_now(c->agent) + LIMIT_AGENT_LINGER_SECONDS * SECOND);
        }
        return r < 0 ? r : watch(&c->guest, flow_wants_write(&c->down) ? EPOLLOUT : EPOLLIN);
}

static int refuse_read(struct client *c) {
        size_t had = c->refusal->n_out;
        ssize_t n = recv(c->guest.fd, c->agent->scratch, sizeof(c->agent->scratch), MSG_DONTWAIT);
        int e, r;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0)
                return CLIENT_E_OVER;
        e = refusal_feed(c->refusal, c->agent->scratch, (size_t)n);
        if (e == REFUSAL_E_VIOLATION)
                return CLIENT_E_OVER;
        c->down.eof = e == REFUSAL_E_DONE; /* the flow shuts the stream when all is written */
        r = flow_put(&c->down, c->refusal->out + had, c->refusal->n_out - had);
        return r < 0 ? r : refuse_flush(c);
}

static int refusing_on_guest(struct client *c, uint32_t revents) {
        if (revents & (EPOLLHUP | EPOLLERR))
                return CLIENT_E_OVER;
        if (flow_wants_write(&c->down))
                return refuse_flush(c);
        return revents & EPOLLIN ? refuse_read(c) : 0;
}

static int lingering_on_guest(struct client *c, uint32_t revents) {
        ssize_t n;

        if (revents & (EPOLLHUP | EPOLLERR))
                return CLIENT_E_OVER;
        n = recv(c->guest.fd, c->agent->scratch, sizeof(c->agent->scratch), MSG_DONTWAIT);
        return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) ? CLIENT_E_OVER : 0;
}

static int over_on_timer(struct client *c) {
        (void)c;
        return CLIENT_E_OVER;
}

/* --- finding the host ---------------------------------------------------------------------- */

/* Waits for the next try, unless that comes too late for this client. */
static int wait_for_host(struct client *c) {
        const struct host *h = &c->agent->host;

        c->state = CLIENT_WAITING;
        if (!h->probing && h->next_try >= c->deadline)
                return refuse_no_host(c);
        agent_schedule_retry(c->agent);
        return 0;
}

static bool end_attempt(struct client *c) {
        bool probe = c->probe;

        end_close(&c->host);
        flow_done(&c->up);
        c->probe = false;
        return probe;
}

static int attempt_failed(struct client *c, const char *reason) {
        agent_host_failed(c->agent, end_attempt(c), reason);
        return wait_for_host(c);
}

static int attempt_hung_up(struct client *c, const char *reason) {
        agent_host_hung_up(c->agent, end_attempt(c), reason);
        return wait_for_host(c);
}

/* What the kernel's words for a vsock connect() mean to a person. */
static const char *connect_strerror(const struct client *c, int e) {
        static const struct {
                int e;
                const char *text;
        } texts[] = {
                {EAFNOSUPPORT, "this kernel has no vsock: modprobe vmw_vsock_virtio_transport"},
                {ENODEV, "this machine has no vsock device, or no machine has that CID"},
                {ECONNRESET, "nobody takes connections on that port"},
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (c->agent->config->connect.kind == ADDRESS_VSOCK && texts[i].e == e)
                        return texts[i].text;
        return strerror(e);
}

static int attempt(struct client *c) {
        int r;

        if (!host_may_try(&c->agent->host, agent_now(c->agent)))
                return wait_for_host(c);
        c->probe = host_begin(&c->agent->host);
        c->host.fd = connect_address(&c->agent->config->connect);
        if (c->host.fd == -EAGAIN) {
                agent_host_busy(c->agent, end_attempt(c));
                return wait_for_host(c);
        }
        if (c->host.fd < 0)
                return attempt_failed(c, connect_strerror(c, -c->host.fd));
        c->state = CLIENT_CONNECTING;
        r = sd_event_add_io(c->agent->event, &c->host.io, c->host.fd, EPOLLOUT, on_host, c);
        return r < 0 ? r : 0;
}

void client_try(struct client *c) {
        if (c->state == CLIENT_WAITING)
                finish(c, attempt(c));
}

/* It is a D-Bus client's turn to speak first. */
static int silent_on_guest(struct client *c, uint32_t revents) {
        int r;

        if (revents & (EPOLLHUP | EPOLLERR))
                return CLIENT_E_OVER;
        c->state = CLIENT_WAITING;
        c->deadline = agent_now(c->agent) + c->agent->config->connect_timeout;
        r = set_timer(c, c->deadline);
        if (r >= 0)
                r = watch(&c->guest, 0);
        return r < 0 ? r : attempt(c);
}

/* From its first byte to relaying a client's socket is watched for hang-up only. */
static int waiting_on_guest(struct client *c, uint32_t revents) {
        (void)c;
        return revents & (EPOLLHUP | EPOLLERR) ? CLIENT_E_OVER : 0;
}

static int waiting_on_timer(struct client *c) {
        return refuse_no_host(c);
}

static int attempt_on_timer(struct client *c) {
        const char *reason = c->state == CLIENT_GREETING ? "it takes the connection and is silent"
                                                         : strerror(ETIMEDOUT);

        agent_host_failed(c->agent, end_attempt(c), reason);
        return refuse_no_host(c);
}

static int connecting_on_host(struct client *c, uint32_t revents) {
        /* A process of another pid namespace has none here. */
        uint32_t pid = c->credentials.pid > 0 ? (uint32_t)c->credentials.pid : 0;
        char line[LIMIT_GREETING_LINE];
        socklen_t n = sizeof(int);
        int e = 0, r;

        (void)revents;
        if (getsockopt(c->host.fd, SOL_SOCKET, SO_ERROR, &e, &n) < 0)
                return -errno;
        if (e != 0)
                return attempt_failed(c, connect_strerror(c, e));
        r = flow_put(&c->up, line, greeting_format_client(line, c->credentials.uid, pid));
        if (r < 0)
                return r;
        c->state = CLIENT_GREETING;
        c->n_answer = 0;
        return states[c->state].on_host(c, EPOLLOUT);
}

/* --- the greeting -------------------------------------------------------------------------- */

static int refused_by_host(struct client *c, const char *what, const char *detail) {
        char text[REFUSAL_TEXT];

        agent_host_succeeded(c->agent); /* there is somebody: no reason to wait */
        c->probe = false;
        (void)snprintf(text, sizeof(text), "sidebus: the host on %s %s%s", c->agent->config->host,
                       what, detail);
        if (agent_may_log(c->agent))
                log_warning("%s", text);
        return refuse(c, text);
}

static int start_relaying(struct client *c, size_t n_line) {
        int r;

        agent_host_succeeded(c->agent);
        c->probe = false;
        c->state = CLIENT_RELAYING;
        r = flow_put(&c->down, c->answer + n_line, c->n_answer - n_line);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        return states[c->state].on_host(c, 0);
}

static int on_answer(struct client *c) {
        struct greeting_answer a;
        int e = greeting_answer_parse(c->answer, c->n_answer, &a);

        if (e == GREETING_E_MORE)
                return 0;
        if (e == GREETING_E_VERSION)
                return refused_by_host(c, "speaks another version of the greeting", "");
        if (e != 0)
                return refused_by_host(c, "answers, but it is not sidebus", "");
        if (!a.ok)
                return refused_by_host(c, "refuses this connection: ", ESCAPED(a.text));
        return start_relaying(c, a.n);
}

static int greeting_on_host(struct client *c, uint32_t revents) {
        bool moved;
        ssize_t n;
        int r;

        if (flow_wants_write(&c->up)) {
                r = flow_move(&c->up, -1, c->host.fd, NULL, 0, &moved);
                if (r < 0)
                        return r;
                if (c->up.broken) {
                        c->up.broken = false;
                        return attempt_hung_up(c, strerror(EPIPE));
                }
                r = watch(&c->host, EPOLLIN | (flow_wants_write(&c->up) ? EPOLLOUT : 0));
                if (r < 0)
                        return r;
        }
        if (!(revents & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                return 0;
        n = recv(c->host.fd, c->answer + c->n_answer, sizeof(c->answer) - c->n_answer,
                 MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n < 0)
                return attempt_hung_up(c, strerror(errno));
        if (n == 0)
                return attempt_hung_up(c, "it closes the connection without an answer");
        c->n_answer += (size_t)n;
        return on_answer(c);
}

/* --- relaying ------------------------------------------------------------------------------ */

/* Which events matter now, and whether it is over. */
static int relay_update(struct client *c, bool moved) {
        uint64_t now = agent_now(c->agent);
        int r;

        if (flow_ended(&c->up) && flow_ended(&c->down))
                return CLIENT_E_OVER;
        r = watch(&c->guest, (flow_wants_read(&c->up) ? EPOLLIN : 0) |
                                     (flow_wants_write(&c->down) ? EPOLLOUT : 0));
        if (r >= 0)
                r = watch(&c->host, (flow_wants_read(&c->down) ? EPOLLIN : 0) |
                                            (flow_wants_write(&c->up) ? EPOLLOUT : 0));
        if (r < 0)
                return r;
        if (moved)
                c->progress = now;
        /* Not every transport can say that one direction ended: nobody waits for it for ever. */
        if (!flow_ended(&c->up) && !flow_ended(&c->down) && !c->up.eof && !c->down.eof)
                return 0;
        if (sd_event_source_get_enabled(c->timer, NULL) > 0)
                return 0;
        c->progress = now;
        return set_timer(c, now + c->agent->config->half_close_timeout);
}

static int relaying_on_timer(struct client *c) {
        uint64_t end = c->progress + c->agent->config->half_close_timeout;

        return agent_now(c->agent) >= end ? CLIENT_E_OVER : set_timer(c, end);
}

/* One end had an event: bytes from it go out by one flow, bytes for it come by the other. */
static int relay(struct client *c, struct client_end *end, const struct client_end *other,
                 struct flow *out, struct flow *in, uint32_t revents) {
        bool moved = false, moved_in = false;
        int r = 0;

        if (revents & (EPOLLHUP | EPOLLERR)) {
                end->gone = true;
                flow_break(in);
        }
        if ((revents & (EPOLLIN | EPOLLHUP | EPOLLERR)) && flow_wants_read(out))
                r = flow_move(out, end->fd, other->fd, c->agent->scratch, sizeof(c->agent->scratch),
                              &moved);
        if (r >= 0 && (revents & EPOLLOUT) && flow_wants_write(in))
                r = flow_move(in, other->fd, end->fd, c->agent->scratch, sizeof(c->agent->scratch),
                              &moved_in);
        return r < 0 ? r : relay_update(c, moved || moved_in);
}

static int relaying_on_guest(struct client *c, uint32_t revents) {
        return relay(c, &c->guest, &c->host, &c->up, &c->down, revents);
}

static int relaying_on_host(struct client *c, uint32_t revents) {
        return relay(c, &c->host, &c->guest, &c->down, &c->up, revents);
}

/* --- the table ----------------------------------------------------------------------------- */

static const struct state states[N_CLIENT_STATES] = {
        [CLIENT_SILENT] = {silent_on_guest, NULL, over_on_timer},
        [CLIENT_WAITING] = {waiting_on_guest, NULL, waiting_on_timer},
        [CLIENT_CONNECTING] = {waiting_on_guest, connecting_on_host, attempt_on_timer},
        [CLIENT_GREETING] = {waiting_on_guest, greeting_on_host, attempt_on_timer},
        [CLIENT_RELAYING] = {relaying_on_guest, relaying_on_host, relaying_on_timer},
        [CLIENT_REFUSING] = {refusing_on_guest, NULL, over_on_timer},
        [CLIENT_LINGERING] = {lingering_on_guest, NULL, over_on_timer},
};

static int on_guest(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        struct client *c = userdata;

        (void)s;
        (void)fd;
        finish(c, states[c->state].on_guest(c, revents));
        return 0;
}

static int on_host(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        struct client *c = userdata;

        (void)s;
        (void)fd;
        finish(c, states[c->state].on_host(c, revents));
        return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        struct client *c = userdata;

        (void)s;
        (void)usec;
        finish(c, states[c->state].on_timer(c));
        return 0;
}

static void client_release(struct client *c) {
        end_close(&c->guest);
        end_close(&c->host);
        sd_event_source_disable_unref(c->timer);
        flow_done(&c->up);
        flow_done(&c->down);
        free(c->refusal);
        free(c);
}
DEFINE_CLEANUP(struct client *, client_release);

int client_new(struct client **ret, struct agent *agent, int take_fd,
               const struct ucred *credentials) {
        _cleanup_close_ int fd = take_fd;
        _cleanup_(client_releasep) struct client *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        c->agent = agent;
        c->credentials = *credentials;
        c->guest.fd = TAKE_FD(fd);
        c->host.fd = -1;
        c->deadline = agent_now(agent) + LIMIT_AUTH_SECONDS * SECOND; /* the host's own limit */
        r = sd_event_add_io(agent->event, &c->guest.io, c->guest.fd, EPOLLIN, on_guest, c);
        if (r >= 0)
                r = sd_event_add_time(agent->event, &c->timer, CLOCK_MONOTONIC, c->deadline,
                                      TIMER_ACCURACY, on_timer, c);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

void client_free(struct client *c) {
        agent_forget(c->agent, c);
        if (c->probe)
                agent_host_abandoned(c->agent, true);
        client_release(c);
}
