/* SPDX-License-Identifier: MIT */
#include "sbrouter/match.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "sbrouter/name.h"
#include "sbrouter/router.h"

struct match {
        struct table_node node;
        struct list rest;  /* in MATCH_BY_NOTHING */
        struct list owned; /* on owner->matches */
        struct connection *owner;
        struct match_rule *rule;
        enum match_file file;
};

#define MATCH_OF_NODE(n) LIST_OWNER(n, struct match, node)

int match_index_init(struct match_index *x) {
        list_init(&x->rest);
        return table_init(&x->rules);
}

void match_index_done(struct match_index *x) {
        table_done(&x->rules);
}

/* The same text in two files must not meet in one chain. */
static uint64_t file_hash(struct router *r, enum match_file file, const char *s, size_t n) {
        return table_hash(&r->key, s, n) + 0x9e3779b97f4a7c15u * (uint64_t)(file + 1);
}

static uint64_t pair_hash(struct router *r, const char *a, size_t n_a, const char *b, size_t n_b) {
        return file_hash(r, MATCH_BY_INTERFACE_MEMBER, a, n_a) * 31 + table_hash(&r->key, b, n_b);
}

static const char *literal_arg0(const struct match_rule *rule) {
        if (rule->n_args > 0 && rule->args[0].index == 0 && rule->args[0].kind == MATCH_ARG_STRING)
                return match_rule_arg(rule, 0);
        return NULL;
}

static const struct {
        enum match_file file;
        enum match_key key;
} literal_files[] = { /* the most selective first */
        {MATCH_BY_PATH, MATCH_PATH},
        {MATCH_BY_MEMBER, MATCH_MEMBER},
        {MATCH_BY_INTERFACE, MATCH_INTERFACE},
        {MATCH_BY_SENDER, MATCH_SENDER},
};

/* Where a rule is filed, and under which hash. */
static enum match_file choose_file(struct router *r, const struct match_rule *rule,
                                   uint64_t *ret_hash) {
        const char *interface = match_rule_get(rule, MATCH_INTERFACE);
        const char *member = match_rule_get(rule, MATCH_MEMBER);
        const char *arg0 = literal_arg0(rule);

        *ret_hash = 0;
        if (arg0) {
                *ret_hash = file_hash(r, MATCH_BY_ARG0, arg0, strlen(arg0));
                return MATCH_BY_ARG0;
        }
        if (interface && member && !match_rule_get(rule, MATCH_PATH)) {
                *ret_hash = pair_hash(r, interface, strlen(interface), member, strlen(member));
                return MATCH_BY_INTERFACE_MEMBER;
        }
        for (size_t i = 0; i < ELEMENTSOF(literal_files); i++) {
                const char *s = match_rule_get(rule, literal_files[i].key);

                if (s) {
                        *ret_hash = file_hash(r, literal_files[i].file, s, strlen(s));
                        return literal_files[i].file;
                }
        }
        return MATCH_BY_NOTHING;
}

int match_add(struct router *r, struct connection *c, struct match_rule *take_rule) {
        _cleanup_(match_rule_freep) struct match_rule *rule = take_rule;
        struct match *m;
        uint64_t hash;

        if (c->n_matches >= LIMIT_MATCHES)
                return MATCH_E_LIMIT;
        if (r->matches.n >= LIMIT_MATCHES_BUS && c->n_matches >= LIMIT_MATCHES_SURE)
                return MATCH_E_BUS_LIMIT;
        m = malloc(sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->owner = c;
        m->rule = TAKE_PTR(rule);
        m->file = choose_file(r, m->rule, &hash);
        m->node.hash = hash;
        list_init(&m->rest);
        if (m->file == MATCH_BY_NOTHING)
                list_append(&r->matches.rest, &m->rest);
        else
                table_insert(&r->matches.rules, &m->node, hash);
        r->matches.n_rules[m->file]++;
        r->matches.n++;
        list_append(&c->matches, &m->owned);
        c->n_matches++;
        if (m->rule->eavesdrop && c->may_debug && c->n_eavesdrop++ == 0 && list_empty(&c->watching))
                list_append(&r->watchers, &c->watching);
        return 0;
}

static void unfile(struct router *r, struct match *m) {
        if (m->file == MATCH_BY_NOTHING)
                list_remove(&m->rest);
        else
                table_remove(&r->matches.rules, &m->node);
        r->matches.n_rules[m->file]--;
        r->matches.n--;
        list_remove(&m->owned);
        m->owner->n_matches--;
        if (m->rule->eavesdrop && m->owner->may_debug && --m->owner->n_eavesdrop == 0 &&
            !m->owner->is_monitor)
                list_remove(&m->owner->watching);
        match_rule_free(m->rule);
        free(m);
}

/* Among its owner's rules: a chain may be full of others' rules that are the same. */
int match_remove(struct router *r, struct connection *c, const struct match_rule *rule) {
        uint64_t hash;
        enum match_file file = choose_file(r, rule, &hash);

        LIST_FOREACH(l, &c->matches) {
                struct match *m = LIST_OWNER(l, struct match, owned);

                if (m->file == file && m->node.hash == hash && match_rule_equal(m->rule, rule)) {
                        unfile(r, m);
                        return 0;
                }
        }
        return MATCH_E_NOT_FOUND;
}

void match_remove_all(struct router *r, struct connection *c) {
        while (!list_empty(&c->matches))
                unfile(r, LIST_OWNER(c->matches.next, struct match, owned));
}

void match_list(struct connection *c, void (*fn)(void *self, const struct match_rule *rule),
                void *self) {
        LIST_FOREACH(l, &c->matches)
                fn(self, LIST_OWNER(l, struct match, owned)->rule);
}

/* One signal on its way through the files. */
struct search {
        struct router *r;
        struct connection *sender;
        const struct message *m;
        struct body_args args;
        int (*fn)(void *self, struct connection *receiver);
        void *self;
};

static bool sender_fits(const struct search *s, const char *wanted) {
        size_t n;

        if (!wanted)
                return true;
        if (!s->sender)
                return strcmp(wanted, DRIVER_NAME) == 0;
        n = strlen(wanted);
        if (wanted[0] == ':')
                return n == s->sender->n_name && memcmp(wanted, s->sender->name, n) == 0;
        return name_owner(s->r, wanted, n) == s->sender;
}

static int consider(struct search *s, struct match *m) {
        /* A monitor gets everything by match_watches(). */
        if (m->owner->stamp == s->r->stamp || m->owner->dead || m->owner->is_monitor)
                return 0;
        /* A broadcast has no destination, so a rule that wants one never fits. */
        if (match_rule_get(m->rule, MATCH_DESTINATION) ||
            !match_rule_fits(m->rule, s->m, &s->args) ||
            !sender_fits(s, match_rule_get(m->rule, MATCH_SENDER)))
                return 0;
        m->owner->stamp = s->r->stamp;
        return s->fn(s->self, m->owner);
}

static int search_chain(struct search *s, enum match_file file, uint64_t hash) {
        TABLE_FOREACH_HASH(node, &s->r->matches.rules, hash) {
                struct match *m = MATCH_OF_NODE(node);
                int r = m->file == file ? consider(s, m) : 0;

                if (r != 0)
                        return r;
        }
        return 0;
}

static int search_text(struct search *s, enum match_file file, const char *text, size_t n) {
        if (!text || s->r->matches.n_rules[file] == 0)
                return 0;
        return search_chain(s, file, file_hash(s->r, file, text, n));
}

static int search_arg0(struct search *s) {
        const struct body_arg *arg;

        if (s->r->matches.n_rules[MATCH_BY_ARG0] == 0)
                return 0;
        arg = body_args_get(&s->args, 0);
        return search_text(s, MATCH_BY_ARG0, arg->s, arg->n);
}

static int search_interface_member(struct search *s) {
        const struct message_string *i = &s->m->interface, *k = &s->m->member;

        if (!i->s || !k->s || s->r->matches.n_rules[MATCH_BY_INTERFACE_MEMBER] == 0)
                return 0;
        return search_chain(s, MATCH_BY_INTERFACE_MEMBER, pair_hash(s->r, i->s, i->n, k->s, k->n));
}

static int search_path(struct search *s) {
        return search_text(s, MATCH_BY_PATH, s->m->path.s, s->m->path.n);
}

static int search_member(struct search *s) {
        return search_text(s, MATCH_BY_MEMBER, s->m->member.s, s->m->member.n);
}

static int search_interface(struct search *s) {
        return search_text(s, MATCH_BY_INTERFACE, s->m->interface.s, s->m->interface.n);
}

/* Under its unique name, and under every name it owns. */
static int search_sender(struct search *s) {
        int r;

        if (s->r->matches.n_rules[MATCH_BY_SENDER] == 0)
                return 0;
        if (!s->sender)
                return search_text(s, MATCH_BY_SENDER, DRIVER_NAME, strlen(DRIVER_NAME));
        r = search_text(s, MATCH_BY_SENDER, s->sender->name, s->sender->n_name);
        if (r != 0)
                return r;
        LIST_FOREACH(l, &s->sender->names) {
                const struct name_claim *claim = LIST_OWNER(l, struct name_claim, claimed);

                r = search_text(s, MATCH_BY_SENDER, claim->name->s, claim->name->n);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int search_rest(struct search *s) {
        LIST_FOREACH(l, &s->r->matches.rest) {
                int r = consider(s, LIST_OWNER(l, struct match, rest));

                if (r != 0)
                        return r;
        }
        return 0;
}

int match_each(struct router *r, struct connection *sender, const struct message *m,
               int (*fn)(void *self, struct connection *receiver), void *self) {
        static int (*const files[])(struct search *) = {
                [MATCH_BY_ARG0] = search_arg0,
                [MATCH_BY_PATH] = search_path,
                [MATCH_BY_INTERFACE_MEMBER] = search_interface_member,
                [MATCH_BY_MEMBER] = search_member,
                [MATCH_BY_INTERFACE] = search_interface,
                [MATCH_BY_SENDER] = search_sender,
                [MATCH_BY_NOTHING] = search_rest,
        };
        struct search s _uninitialized_; /* its args are large, and filled when they are asked for */

        s.r = r;
        s.sender = sender;
        s.m = m;
        s.fn = fn;
        s.self = self;
        message_args(m, &s.args);
        r->stamp++;
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                int v = files[i](&s);

                if (v != 0)
                        return v;
        }
        return 0;
}

/* --- who watches --------------------------------------------------------------------------- */

static bool destination_fits(const struct search *s, struct connection *receiver,
                             const char *wanted) {
        const struct message_string *to = &s->m->destination;

        if (!wanted)
                return true;
        if (!receiver)
                return to->s && strcmp(to->s, wanted) == 0;
        return router_lookup(s->r, wanted, strlen(wanted)) == receiver;
}

bool match_watches(struct router *r, struct connection *c, struct connection *sender,
                   struct connection *receiver, const struct message *m) {
        struct search s = {.r = r, .sender = sender, .m = m};

        if (!c->is_monitor && (receiver == c || !m->destination.s))
                return false;
        if (c->is_monitor && list_empty(&c->matches))
                return true;
        message_args(m, &s.args);
        LIST_FOREACH(l, &c->matches) {
                const struct match_rule *rule = LIST_OWNER(l, struct match, owned)->rule;

                if ((c->is_monitor || rule->eavesdrop) && match_rule_fits(rule, m, &s.args) &&
                    sender_fits(&s, match_rule_get(rule, MATCH_SENDER)) &&
                    destination_fits(&s, receiver, match_rule_get(rule, MATCH_DESTINATION)))
                        return true;
        }
        return false;
}
