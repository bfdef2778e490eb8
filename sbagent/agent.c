/* SPDX-License-Identifier: MIT */
#include "sbagent/agent.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "sbagent/client.h"

#define ACCEPT_BATCH   16u      /* then the clients that are there have their turn */
#define RESUME_USEC    1000000u /* descriptors may be free again */
#define QUIET_USEC     10000000u
#define REPORT_USEC    1000000u
#define TIMER_ACCURACY 10000u

uint64_t agent_now(const struct agent *a) {
        uint64_t now = 0;

        (void)sd_event_now(a->event, CLOCK_MONOTONIC, &now); /* fails for unknown clocks only */
        return now;
}

bool agent_may_log(struct agent *a) {
        uint64_t now = agent_now(a);

        if (now < a->quiet_until) {
                a->unsaid++;
                return false;
        }
        if (a->unsaid > 0)
                log_notice("%llu more lines of this kind were not logged",
                           (unsigned long long)a->unsaid);
        a->unsaid = 0;
        a->quiet_until = now + QUIET_USEC;
        return true;
}

/* Arms a one-shot timer that exists from agent_new() on. */
static void arm(sd_event_source *s, uint64_t at) {
        (void)sd_event_source_set_time(s, at);
        (void)sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* --- the host ------------------------------------------------------------------------------ */

static void kick_clients(struct agent *a) {
        for (size_t i = a->n_clients; i-- > 0;) /* one that ends is replaced by one already seen */
                client_try(a->clients[i]);
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        (void)s;
        (void)usec;
        kick_clients(userdata);
        return 0;
}

/*
 * At most once a second, however the host flaps: sd_notify() blocks while systemd
 * does not read.
 */
static int on_report(sd_event_source *source, uint64_t usec, void *userdata) {
        struct agent *a = userdata;

        (void)source;
        (void)usec;
        if (a->host.state == a->reported)
                return 0;
        a->reported = a->host.state;
        a->next_report = agent_now(a) + REPORT_USEC;
        if (a->reported == HOST_UP) {
                log_notice("the host answers on %s", a->config->host);
                (void)sd_notifyf(0, "STATUS=The host answers on %s.", a->config->host);
                return 0;
        }
        log_warning("the host does not answer on %s: %s", a->config->host, a->reason);
        (void)sd_notifyf(0, "STATUS=The host does not answer on %s: %s", a->config->host,
                         a->reason);
        return 0;
}

void agent_schedule_retry(struct agent *a) {
        if (!a->host.probing)
                arm(a->retry, a->host.next_try);
}

void agent_host_succeeded(struct agent *a) {
        if (!host_succeeded(&a->host))
                return;
        arm(a->report, a->next_report);
        agent_schedule_retry(a); /* everybody who waits, at the next turn of the loop */
}

static uint32_t random_u32(void) {
        uint32_t v = 0;

        (void)!getrandom(&v, sizeof(v), GRND_NONBLOCK); /* 0 early at boot: no jitter then */
        return v;
}

void agent_host_failed(struct agent *a, bool probe, const char *reason) {
        (void)snprintf(a->reason, sizeof(a->reason), "%s", reason);
        if (host_failed(&a->host, probe, agent_now(a), random_u32()))
                arm(a->report, a->next_report);
        agent_schedule_retry(a);
}

void agent_host_hung_up(struct agent *a, bool probe, const char *reason) {
        (void)snprintf(a->reason, sizeof(a->reason), "%s", reason);
        if (host_hung_up(&a->host, probe, agent_now(a), random_u32()))
                arm(a->report, a->next_report);
        agent_schedule_retry(a);
}

void agent_host_busy(struct agent *a, bool probe) {
        (void)snprintf(a->reason, sizeof(a->reason), "its queue of connections stays full");
        host_busy(&a->host, probe, agent_now(a), random_u32());
        agent_schedule_retry(a);
}

void agent_host_abandoned(struct agent *a, bool probe) {
        host_abandoned(&a->host, probe);
        agent_schedule_retry(a);
}

/* --- clients ------------------------------------------------------------------------------- */

static void set_accepting(struct agent *a, bool on) {
        a->paused = !on;
        for (size_t i = 0; i < a->n_accepting; i++)
                (void)sd_event_source_set_enabled(a->accepting[i], on ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int on_resume(sd_event_source *s, uint64_t usec, void *userdata) {
        struct agent *a = userdata;

        (void)s;
        (void)usec;
        if (a->n_clients < LIMIT_AGENT_CLIENTS)
                set_accepting(a, true);
        return 0;
}

void agent_forget(struct agent *a, struct client *c) {
        size_t i = c->index;

        assert(i < a->n_clients && a->clients[i] == c);
        a->clients[i] = a->clients[--a->n_clients];
        a->clients[i]->index = i;
        a->clients[a->n_clients] = NULL;
        if (a->paused)
                set_accepting(a, true);
}

static unsigned count_uid(const struct agent *a, uid_t uid) {
        unsigned n = 0;

        for (size_t i = 0; i < a->n_clients; i++)
                n += a->clients[i]->credentials.uid == uid;
        return n;
}

static struct client *oldest_silent(const struct agent *a, const uid_t *uid) {
        struct client *oldest = NULL;

        for (size_t i = 0; i < a->n_clients; i++) {
                struct client *c = a->clients[i];

                if (c->state == CLIENT_SILENT && (!uid || c->credentials.uid == *uid) &&
                    (!oldest || c->deadline < oldest->deadline))
                        oldest = c;
        }
        return oldest;
}

/*
 * Where there is no room the oldest client that never said anything goes: of that
 * user, or of all (NULL).  Whether one went.
 */
static bool make_room(struct agent *a, const uid_t *uid) {
        struct client *c = oldest_silent(a, uid);

        if (!c)
                return false;
        if (agent_may_log(a))
                log_warning("a client of uid %u that said nothing is closed: others came",
                            c->credentials.uid);
        client_free(c);
        return true;
}

static int add_client(struct agent *a, int take_fd) {
        _cleanup_close_ int fd = take_fd;
        socklen_t n = sizeof(struct ucred);
        struct client *c = NULL;
        struct ucred credentials;
        int r;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &n) < 0)
                return -errno;
        if (count_uid(a, credentials.uid) >= LIMIT_AGENT_CLIENTS_UID &&
            !make_room(a, &credentials.uid)) {
                if (agent_may_log(a))
                        log_warning("uid %u has %u connections already: no more for it",
                                    credentials.uid, LIMIT_AGENT_CLIENTS_UID);
                return 0;
        }
        r = client_new(&c, a, TAKE_FD(fd), &credentials);
        if (r < 0)
                return r;
        c->index = a->n_clients;
        a->clients[a->n_clients++] = c;
        return 0;
}

/* Accepting goes on when a client leaves, or in a second. */
static int pause_accepting(struct agent *a, int e) {
        set_accepting(a, false);
        arm(a->resume, agent_now(a) + RESUME_USEC);
        if (agent_may_log(a))
                (void)log_warning_errno(e, "cannot take more clients for now, %zu are here",
                                        a->n_clients);
        return 0;
}

static int on_accept(sd_event_source *s, int listener, uint32_t revents, void *userdata) {
        struct agent *a = userdata;

        (void)s;
        (void)revents;
        for (unsigned i = 0; i < ACCEPT_BATCH; i++) {
                int fd, r;

                if (a->n_clients == LIMIT_AGENT_CLIENTS && !make_room(a, NULL))
                        return pause_accepting(a, EUSERS);
                fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
                        return 0;
                r = fd < 0 ? -errno : add_client(a, fd);
                if (r < 0)
                        return pause_accepting(a, r);
        }
        return 0;
}

/* --- the whole ----------------------------------------------------------------------------- */

static int add_timer(struct agent *a, sd_event_source **ret, sd_event_time_handler_t fn) {
        int r = sd_event_add_time(a->event, ret, CLOCK_MONOTONIC, 0, TIMER_ACCURACY, fn, a);

        return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

int agent_new(struct agent **ret, sd_event *event, const struct config *config,
              const struct listeners *listeners) {
        _cleanup_(agent_freep) struct agent *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        a->event = event;
        a->config = config;
        r = add_timer(a, &a->retry, on_retry);
        if (r >= 0)
                r = add_timer(a, &a->resume, on_resume);
        if (r >= 0)
                r = add_timer(a, &a->report, on_report);
        for (size_t i = 0; i < listeners->n && r >= 0; i++) {
                r = sd_event_add_io(event, &a->accepting[i], listeners->fds[i], EPOLLIN, on_accept,
                                    a);
                a->n_accepting += r >= 0;
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(a);
        return 0;
}

struct agent *agent_free(struct agent *a) {
        if (!a)
                return NULL;
        while (a->n_clients > 0)
                client_free(a->clients[a->n_clients - 1]);
        for (size_t i = 0; i < a->n_accepting; i++)
                sd_event_source_disable_unref(a->accepting[i]);
        sd_event_source_disable_unref(a->report);
        sd_event_source_disable_unref(a->resume);
        sd_event_source_disable_unref(a->retry);
        free(a);
        return NULL;
}
