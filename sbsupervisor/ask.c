/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/ask.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "sbsupervisor/token.h"

#define NOTIFICATION "org.freedesktop.portal.Notification"
#define SECOND       UINT64_C(1000000)
#define STOP_USEC    (SECOND / 2) /* a portal that hangs does not hold the stop up */

/* One call that waits for an answer. */
struct ask {
        struct question *question;
        void (*done)(void *userdata, bool allowed);
        void *userdata;
        bool is_call;
        struct ask *next;
};

/* A notification, and all who wait for what the person says to it. */
struct question {
        struct asks *asks; /* NULL: it is being answered, and nobody joins any more */
        struct policy_subject subject;
        char id[TOKEN_SIZE];
        sd_bus_slot *slot; /* of AddNotification */
        sd_event_source *timer;
        bool is_call;        /* who waits longest has no handle */
        struct ask *waiting; /* in the order in which they came; the gate bounds how many */
};

/* --- words ---------------------------------------------------------------------------------- */

/* "A program in the virtual machine wants to ..." */
static const struct {
        const char *subject, *words;
} wishes[] = {
        {"FileChooser", "let you choose files to open or to save"},
        {"OpenURI", "open a link or a file with one of your programs"},
        {"Email", "prepare an email for you to send"},
        {"Account", "know your name and your picture"},
        {"Notification", "show notifications"},
        {"Settings", "know how your desktop is set to look"},
        {"Inhibit", "keep the computer awake, or you logged in"},
        {"Screenshot", "take pictures of your screen, with everything on it"},
        {"Screenshot.PickColor", "know the colour of a point of your screen that you pick"},
        {"Wallpaper", "change the picture behind your desktop"},
        {"Print", "print"},
        {"GlobalShortcuts", "be told of keys that you press in other windows"},
        {"NetworkMonitor", "know whether you are connected to a network"},
        {"ProxyResolver", "know through which proxies you reach the network"},
        {"Location", "know where you are, exactly"},
        {"Trash", "move files that you gave it to the trash"},
        {"Secret", "have a key of its own from your keyring"},
        {"FileTransfer", "get the files that you copied or dragged"},
        {"Documents", "look at what you gave it"},
};

const char *ask_wish(const struct policy_subject *s) {
        char name[POLICY_MAX_NAME];

        (void)policy_subject_name(s, name);
        for (size_t i = 0; i < ELEMENTSOF(wishes); i++)
                if (strcmp(wishes[i].subject, name) == 0)
                        return wishes[i].words;
        return NULL;
}

/* What the person can press.  The action's name comes back. */
static const struct button {
        const char *action, *label;
        bool allowed, always;
} buttons[] = {
        {"once", "Allow once", .allowed = true},
        {"always", "Always allow", .allowed = true, .always = true},
        {"deny", "Deny", .allowed = false},
};

static int append_button(sd_bus_message *m, const struct button *b) {
        return sd_bus_message_append(m, "a{sv}", 2, "label", "s", b->label, "action", "s",
                                     b->action);
}

static int append_buttons(sd_bus_message *m) {
        int r = sd_bus_message_open_container(m, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', "buttons");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "aa{sv}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "a{sv}");
        for (size_t i = 0; i < ELEMENTSOF(buttons) && r >= 0; i++)
                r = append_button(m, &buttons[i]);
        for (int i = 0; i < 3 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int append_text(sd_bus_message *m, const char *key, const char *text) {
        return sd_bus_message_append(m, "{sv}", key, "s", text);
}

/* The notification as every version of the portal takes it.  "high": it is seen in time. */
static int append_notification(const struct question *q, sd_bus_message *m) {
        _cleanup_free_ char *title = NULL, *body = NULL;
        int r;

        if (asprintf(&title, "%s (virtual machine)", q->asks->label) < 0 ||
            asprintf(&body, "A program in the virtual machine wants to %s.",
                     ask_wish(&q->subject) ?: q->subject.interface->name) < 0)
                return -ENOMEM;
        r = sd_bus_message_append_basic(m, 's', q->id);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = append_text(m, "title", title);
        if (r >= 0)
                r = append_text(m, "body", body);
        if (r >= 0)
                r = append_text(m, "priority", "high");
        if (r >= 0)
                r = append_buttons(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* --- questions ------------------------------------------------------------------------------ */

/* Nobody joins it, and nothing of the host reaches it, from here on. */
static void close_question(struct question *q) {
        for (size_t i = 0; i < ELEMENTSOF(q->asks->questions); i++)
                if (q->asks->questions[i] == q)
                        q->asks->questions[i] = NULL;
        q->slot = sd_bus_slot_unref(q->slot);
        q->timer = sd_event_source_disable_unref(q->timer);
        q->asks = NULL;
}

static void free_question(struct question *q) {
        if (q->asks)
                close_question(q);
        while (q->waiting) {
                struct ask *ask = q->waiting;

                q->waiting = ask->next;
                free(ask);
        }
        free(q);
}

DEFINE_CLEANUP(struct question *, free_question);

/*
 * Takes the notification of that id from the desktop.  xdg-desktop-portal drops the calls of who
 * has left the bus: at the end its answer is waited for.
 */
static void remove_notification(struct asks *a, const char *id) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        sd_bus *bus = a->host->bus;
        int r = host_new_call(a->host, NOTIFICATION, "RemoveNotification", &m);

        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', id);
        if (r >= 0 && a->stopping)
                r = sd_bus_call(bus, m, STOP_USEC, NULL, NULL);
        else if (r >= 0 && (r = sd_bus_message_set_expect_reply(m, false)) >= 0)
                r = sd_bus_send(bus, m, NULL);
        if (r < 0)
                (void)log_warning_errno(r, "cannot take a question back from the desktop");
}

/* While there is no portal: its desktop still shows it, and the next portal is told. */
static void withdraw_later(struct asks *a, const char *id) {
        if (a->n_left < ELEMENTSOF(a->left))
                memcpy(a->left[a->n_left++], id, TOKEN_SIZE);
}

static void withdraw(const struct question *q) {
        if (q->asks->host->owner)
                remove_notification(q->asks, q->id);
        else
                withdraw_later(q->asks, q->id);
}

/* Who waits longest may go on, or may not.  They may ask and cancel from within. */
static void answer_first(struct question *q, bool allowed) {
        struct ask *ask = q->waiting;
        void (*done)(void *userdata, bool allowed) = ask->done;
        void *userdata = ask->userdata;

        q->waiting = ask->next;
        free(ask);
        done(userdata, allowed);
}

/* The same for all who wait. */
static void answer(struct question *q, bool allowed) {
        if (q->asks)
                close_question(q);
        while (q->waiting)
                answer_first(q, allowed);
        free_question(q);
}

static void log_answer(const struct question *q, const char *what) {
        char name[POLICY_MAX_NAME];

        log_notice("%s: %s", policy_subject_name(&q->subject, name), what);
}

static int on_added(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        struct question *q = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);

        q->slot = sd_bus_slot_unref(q->slot);
        if (!e && host_answered(q->asks->host, m))
                return 0;
        log_warning("the desktop cannot show a question (%s): a denial",
                    ESCAPED(e ? e->message ?: e->name : "not the portal's answer"));
        log_answer(q, "denied, for nobody could be asked");
        answer(q, false);
        return 0;
}

static int on_timeout(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        struct question *q = userdata;

        log_answer(q, "denied, for there was no answer in time");
        withdraw(q);
        answer(q, false);
        return 0;
}

/* Who waits for the answer to its call does not wait as long as one who has a handle. */
static uint64_t time_to_answer(const struct question *q) {
        const uint64_t call = LIMIT_ASK_CALL_SECONDS * SECOND;

        return q->is_call && call < q->asks->timeout ? call : q->asks->timeout;
}

static int show(struct question *q) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        struct host *h = q->asks->host;
        int r = host_new_call(h, NOTIFICATION, "AddNotification", &m);

        if (r >= 0)
                r = append_notification(q, m);
        if (r >= 0)
                r = sd_bus_call_async(h->bus, &q->slot, m, on_added, q, q->asks->timeout);
        if (r >= 0)
                r = sd_event_add_time_relative(sd_bus_get_event(h->bus), &q->timer, CLOCK_MONOTONIC,
                                               time_to_answer(q), 0, on_timeout, q);
        return r;
}

static bool take_turn(struct asks *a) {
        const struct bucket_rate rate = {LIMIT_ASKS_BURST, LIMIT_ASKS_PAUSE_SECONDS * SECOND};
        uint64_t now = 0;

        (void)sd_event_now(sd_bus_get_event(a->host->bus), CLOCK_MONOTONIC, &now);
        return bucket_take(&a->turns, &rate, now);
}

static int new_question(struct asks *a, const struct policy_subject *s, bool is_call,
                        struct question **ret) {
        _cleanup_(free_questionp) struct question *q = NULL;
        size_t place = 0;
        int r;

        while (place < ELEMENTSOF(a->questions) && a->questions[place])
                place++;
        if (place == ELEMENTSOF(a->questions) || !take_turn(a))
                return ASK_E_LIMIT;
        q = calloc(1, sizeof(*q));
        if (!q)
                return -ENOMEM;
        *q = (struct question){.asks = a, .subject = *s, .is_call = is_call};
        r = token_make(q->id);
        if (r >= 0)
                r = show(q);
        if (r < 0)
                return r;
        a->questions[place] = q;
        *ret = TAKE_PTR(q);
        return 0;
}

/* The same question once more, for those who still wait: a new notification, with a new id. */
static int show_again(struct question *q) {
        int r;

        q->slot = sd_bus_slot_unref(q->slot);
        q->timer = sd_event_source_disable_unref(q->timer);
        if (!take_turn(q->asks))
                return ASK_E_LIMIT;
        q->is_call = q->waiting->next->is_call; /* the first has its answer */
        r = token_make(q->id);
        return r < 0 ? r : show(q);
}

/* "Once" is one call: the next is asked about for itself, or denied where it cannot be. */
static void allow_once(struct question *q) {
        int r = q->waiting->next ? show_again(q) : ASK_E_LIMIT;

        if (r == ASK_E_LIMIT || r < 0) {
                close_question(q); /* it stays until answer(), whatever is cancelled from within */
                answer_first(q, true);
                answer(q, false);
                return;
        }
        answer_first(q, true);
}

static struct question *find_question(const struct asks *a, const struct policy_subject *s) {
        for (size_t i = 0; i < ELEMENTSOF(a->questions); i++)
                if (a->questions[i] && a->questions[i]->subject.interface == s->interface &&
                    a->questions[i]->subject.method == s->method)
                        return a->questions[i];
        return NULL;
}

/* --- who asks ------------------------------------------------------------------------------- */

void asks_init(struct asks *a, struct host *host, const char *label,
               struct remembered *remembered) {
        *a = (struct asks){
                .host = host,
                .label = label,
                .remembered = remembered,
                .timeout = LIMIT_ASK_SECONDS * SECOND,
        };
}

void asks_stop(struct asks *a) {
        a->stopping = true;
}

void asks_done(struct asks *a) {
        for (size_t i = 0; i < ELEMENTSOF(a->questions); i++)
                if (a->questions[i]) {
                        withdraw(a->questions[i]);
                        free_question(a->questions[i]);
                }
}

int ask_start(struct asks *a, const struct portal_method *m,
              void (*done)(void *userdata, bool allowed), void *userdata, struct ask **ret) {
        bool is_call = m->kind == PORTAL_CALL || m->kind == PORTAL_AT_GATE;
        struct policy_subject subject = policy_subject(m);
        struct question *q = find_question(a, &subject);
        struct ask *ask = calloc(1, sizeof(*ask)), **end;
        int r = ask ? 0 : -ENOMEM;

        if (r == 0 && !q)
                r = new_question(a, &subject, is_call, &q);
        if (r == ASK_E_LIMIT)
                log_limited(&a->budget, LOG_WARNING,
                            "%s: denied without a question: too many of them", m->member);
        if (r != 0) {
                free(ask);
                return r;
        }
        *ask = (struct ask){.question = q, .done = done, .userdata = userdata, .is_call = is_call};
        for (end = &q->waiting; *end; end = &(*end)->next)
                ;
        *end = *ret = ask;
        return 0;
}

struct ask *ask_cancel(struct ask *ask) {
        struct question *q;

        if (!ask)
                return NULL;
        q = ask->question;
        for (struct ask **p = &q->waiting; *p; p = &(*p)->next)
                if (*p == ask) {
                        *p = ask->next;
                        break;
                }
        free(ask);
        if (q->asks && !q->waiting) {
                withdraw(q);
                free_question(q);
        }
        return NULL;
}

/* --- what the host says --------------------------------------------------------------------- */

static struct question *find_id(const struct asks *a, const char *id) {
        for (size_t i = 0; i < ELEMENTSOF(a->questions); i++)
                if (a->questions[i] && strcmp(a->questions[i]->id, id) == 0)
                        return a->questions[i];
        return NULL;
}

/* The last one for any other action: a press on the notification itself is no consent. */
static const struct button *find_button(const char *action) {
        size_t i = 0;

        while (i < ELEMENTSOF(buttons) - 1 && strcmp(buttons[i].action, action) != 0)
                i++;
        return &buttons[i];
}

bool asks_signal(struct asks *a, sd_bus_message *m) {
        const char *id, *action;
        const struct button *b;
        struct question *q;

        if (!sd_bus_message_is_signal(m, NOTIFICATION, "ActionInvoked") ||
            !sd_bus_message_has_signature(m, "ssav") ||
            sd_bus_message_read(m, "ss", &id, &action) < 0)
                return false;
        (void)sd_bus_message_rewind(m, true); /* for whose it is if not ours */
        q = find_id(a, id);
        if (!q)
                return false;
        b = find_button(action);
        log_answer(q, b->always ? "always allowed" : b->allowed ? "allowed once" : "denied");
        if (b->always)
                remembered_allow(a->remembered, &q->subject);
        withdraw(q);
        if (b->allowed && !b->always)
                allow_once(q);
        else
                answer(q, b->allowed);
        return true;
}

void asks_portal_lost(struct asks *a) {
        for (size_t i = 0; i < ELEMENTSOF(a->questions); i++)
                if (a->questions[i]) {
                        log_answer(a->questions[i], "denied, for the portal is gone");
                        withdraw_later(a, a->questions[i]->id);
                        answer(a->questions[i], false);
                }
}

void asks_portal_found(struct asks *a) {
        while (a->n_left > 0)
                remove_notification(a, a->left[--a->n_left]);
}
