/* SPDX-License-Identifier: MIT */
/*
 * Asking the person whether a VM may use a portal: a notification on the host.
 *
 * It goes through the host's own Notification portal, with an id that nobody can guess, and only a
 * press of one of our buttons, told by the owner of the portal's name, is an answer.  All else is
 * "no": sixty seconds without one, a notification that cannot be shown, too many questions.
 * One subject (see policy.h) is asked about once at a time; who comes later waits for that answer.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "common/bucket.h"
#include "common/limits.h"
#include "sbsupervisor/host.h"
#include "sbsupervisor/journal.h"
#include "sbsupervisor/remembered.h"
#include "sbsupervisor/token.h"

struct ask;
struct question;

struct asks {
        struct host *host;
        const char *label;             /* what the person calls the VM */
        struct remembered *remembered; /* gets the answers that are for good */
        struct question *questions[LIMIT_ASKS];
        char left[LIMIT_ASKS][TOKEN_SIZE]; /* notifications that a portal left when it went */
        unsigned n_left;
        struct bucket turns;
        uint64_t timeout; /* microseconds for an answer */
        bool stopping;
        struct log_budget budget;
};

enum {
        ASK_E_LIMIT = 1, /* too many questions, now or lately: a denial */
};

/* host, which is on its event loop when it is asked, label and remembered are borrowed. */
void asks_init(struct asks *a, struct host *host, const char *label, struct remembered *remembered);
/* The instance ends: who waits cancels now, and what is on the desktop is gone before we are. */
void asks_stop(struct asks *a);
/* No question is answered any more; who waits has cancelled before. */
void asks_done(struct asks *a);

/*
 * Asks whether m may be called.  Later, never from within, done is called once with the answer;
 * *ret is then no more.  0; ASK_E_LIMIT (logged) or a negative errno, both a denial: done is not
 * called.
 */
int ask_start(struct asks *a, const struct portal_method *m,
              void (*done)(void *userdata, bool allowed), void *userdata, struct ask **ret);
/* The answer is not wanted any more: done is not called.  ask may be NULL; returns NULL. */
struct ask *ask_cancel(struct ask *ask);

/* What the person reads of it: "A program in the virtual machine wants to ...".  NULL: no words. */
const char *ask_wish(const struct policy_subject *s);

/* A signal of the portal's owner, sent to us or to all: whether it was for a question of ours. */
bool asks_signal(struct asks *a, sd_bus_message *m);
/* The host portal is gone, and who would tell us of a button: whoever waits is denied. */
void asks_portal_lost(struct asks *a);
/* There is one again: questions that nobody can answer any more are taken from the desktop. */
void asks_portal_found(struct asks *a);
