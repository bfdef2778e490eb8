/* SPDX-License-Identifier: MIT */
#include "sbrouter/match.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "sbrouter/name.h"
#include "sbrouter/router.h"

struct match {
        struct table_node node;
        struct list owned; /* on owner->matches */
        struct connection *owner;
        struct match_rule *rule;
        uint16_t form;
};

#define MATCH_OF_NODE(n) LIST_OWNER(n, struct match, node)

/* Of a namespace, and of what may lie in it: real ones have four components, some six. */
#define COMPONENTS 8u

/* A row says where the text lies in a rule, and where in a signal. */
static const struct {
        bool is_arg;
        uint8_t key;    /* enum match_key, or the argument's index */
        uint8_t kind;   /* enum match_arg_kind */
        char separator; /* of a namespace's components, or 0: the text is found whole */
        size_t field;   /* in struct message, but for arguments and the sender */
} bys[MATCH_N_BY] = {
        [MATCH_BY_PATH] = {.key = MATCH_PATH, .field = offsetof(struct message, path)},
        [MATCH_BY_INTERFACE] = {.key = MATCH_INTERFACE,
                                .field = offsetof(struct message, interface)},
        [MATCH_BY_MEMBER] = {.key = MATCH_MEMBER, .field = offsetof(struct message, member)},
        [MATCH_BY_ARG0] = {true, 0, MATCH_ARG_STRING, 0, 0},
        [MATCH_BY_ARG1] = {true, 1, MATCH_ARG_STRING, 0, 0},
        [MATCH_BY_ARG2] = {true, 2, MATCH_ARG_STRING, 0, 0},
        [MATCH_BY_ARG0_NAMESPACE] = {true, 0, MATCH_ARG_NAMESPACE, '.', 0},
        [MATCH_BY_PATH_NAMESPACE] = {.key = MATCH_PATH_NAMESPACE,
                                     .separator = '/',
                                     .field = offsetof(struct message, path)},
        [MATCH_BY_SENDER] = {.key = MATCH_SENDER},
};

int match_index_init(struct match_index *x) {
        return table_init(&x->rules);
}

void match_index_done(struct match_index *x) {
        table_done(&x->rules);
}

/* --- where a rule is filed ----------------------------------------------------------------- */

/* The hashes are secret, so nobody can prepare texts for which these meet. */
static uint64_t combine(uint64_t hash, uint64_t next) {
        return hash * 0x9e3779b97f4a7c15u + next;
}

/* Where the first components of s end; returns how many. */
static unsigned find_ends(const char *s, size_t n, char separator, size_t ret_ends[COMPONENTS]) {
        size_t at = separator == '/'; /* with which a path starts */
        unsigned k = 0;

        while (k < COMPONENTS && at <= n) {
                const char *p = memchr(s + at, separator, n - at);

                ret_ends[k] = p ? (size_t)(p - s) : n;
                at = ret_ends[k++] + 1;
        }
        return k;
}

static struct match_text rule_text(const struct match_rule *rule, enum match_by by) {
        if (!bys[by].is_arg)
                return rule->key[bys[by].key];
        for (unsigned i = 0; i < rule->n_args && rule->args[i].index <= bys[by].key; i++)
                if (rule->args[i].index == bys[by].key && rule->args[i].kind == bys[by].kind)
                        return rule->args[i].value;
        return (struct match_text){0};
}

/* What of the text it is filed under: nothing, all of it, or of a namespace the start. */
static size_t filed_bytes(const char *s, size_t n, enum match_by by) {
        size_t ends[COMPONENTS] = {0};
        unsigned k;

        if (bys[by].separator == 0)
                return n;
        if (n == 1 && s[0] == '/') /* everything lies in it */
                return 0;
        k = find_ends(s, n, bys[by].separator, ends);
        return k > 0 ? ends[k - 1] : 0;
}

/* The rule's form, and the hash of its texts. */
static unsigned choose_form(struct router *r, const struct match_rule *rule, uint64_t *ret_hash) {
        uint64_t hash = 0;
        unsigned form = 0;

        for (enum match_by by = 0; by < MATCH_N_BY; by++) {
                struct match_text t = rule_text(rule, by);
                const char *s = (const char *)rule + t.at;

                if (t.at == 0 || filed_bytes(s, t.n, by) == 0)
                        continue;
                if (by == MATCH_BY_PATH_NAMESPACE && (form & 1u << MATCH_BY_ARG0_NAMESPACE))
                        continue;
                hash = combine(hash, table_hash(&r->key, s, filed_bytes(s, t.n, by)));
                form |= 1u << by;
        }
        *ret_hash = combine(hash, form);
        return form;
}

static void count_in(struct match_index *x, const struct match *m) {
        x->n++;
        x->weight += match_rule_weight(m->rule);
        m->owner->n_matches++;
        m->owner->match_weight += match_rule_weight(m->rule);
        if (x->n_rules[m->form]++ == 0)
                x->used[x->n_used++] = m->form;
}

static void count_out(struct match_index *x, const struct match *m) {
        unsigned i = 0;

        x->n--;
        x->weight -= match_rule_weight(m->rule);
        m->owner->n_matches--;
        m->owner->match_weight -= match_rule_weight(m->rule);
        if (--x->n_rules[m->form] > 0)
                return;
        while (x->used[i] != m->form)
                i++;
        x->used[i] = x->used[--x->n_used];
}

int match_add(struct router *r, struct connection *c, struct match_rule *take_rule) {
        _cleanup_(match_rule_freep) struct match_rule *rule = take_rule;
        struct match *m;
        uint64_t hash;

        if (c->match_weight + match_rule_weight(rule) > LIMIT_MATCHES)
                return MATCH_E_LIMIT;
        if (r->matches.weight + match_rule_weight(rule) > LIMIT_MATCHES_BUS &&
            c->match_weight + match_rule_weight(rule) > LIMIT_MATCHES_SURE)
                return MATCH_E_BUS_LIMIT;
        m = malloc(sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->owner = c;
        m->rule = TAKE_PTR(rule);
        m->form = (uint16_t)choose_form(r, m->rule, &hash);
        table_insert(&r->matches.rules, &m->node, hash);
        count_in(&r->matches, m);
        list_append(&c->matches, &m->owned);
        if (m->rule->eavesdrop && c->may_debug && c->n_eavesdrop++ == 0 && list_empty(&c->watching))
                list_append(&r->watchers, &c->watching);
        return 0;
}

static void unfile(struct router *r, struct match *m) {
        table_remove(&r->matches.rules, &m->node);
        count_out(&r->matches, m);
        list_remove(&m->owned);
        if (m->rule->eavesdrop && m->owner->may_debug && --m->owner->n_eavesdrop == 0 &&
            !m->owner->is_monitor)
                list_remove(&m->owner->watching);
        match_rule_free(m->rule);
        free(m);
}

static struct match *find_owned(struct router *r, struct connection *c,
                                const struct match_rule *rule) {
        unsigned walked = 0, form;
        struct match *found = NULL;
        uint64_t hash;

        form = choose_form(r, rule, &hash);
        LIST_FOREACH(l, &c->matches) {
                struct match *m = LIST_OWNER(l, struct match, owned);

                walked += 1 + m->rule->n_args / LIMIT_TURN_ARGS;
                if (m->form == form && m->node.hash == hash && match_rule_equal(m->rule, rule)) {
                        found = m;
                        break;
                }
        }
        r->work += walked / LIMIT_TURN_WALK;
        return found;
}

/* Among its owner's rules: a chain may be full of others' rules that are the same. */
int match_remove(struct router *r, struct connection *c, const struct match_rule *rule) {
        struct match *m = find_owned(r, c, rule);

        if (!m)
                return MATCH_E_NOT_FOUND;
        unfile(r, m);
        return 0;
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

/* --- who gets a signal --------------------------------------------------------------------- */

/* Of most kinds a signal has one value; of a namespace each prefix is one, of a sender each name. */
#define MAX_VALUES (MATCH_N_BY + 2 * COMPONENTS + LIMIT_NAMES)

/* One signal on its way through the index. */
struct search {
        struct router *r;
        struct connection *sender;
        const struct message *m;
        struct body_args args;
        void (*fn)(void *self, struct connection *receiver);
        void *self;
        unsigned known; /* 1 << MATCH_BY_x: whose values were asked for */
        unsigned n_values, n_chains;
        struct {
                uint8_t at, n;
        } values_of[MATCH_N_BY];
        uint64_t values[MAX_VALUES]; /* their hashes */
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

static void consider(struct search *s, struct match *m) {
        s->r->work += 1 + m->rule->n_args / LIMIT_TURN_ARGS;
        /* A monitor gets everything by match_watches(). */
        if (m->owner->stamp == s->r->stamp || m->owner->dead || m->owner->is_monitor)
                return;
        /* A broadcast has no destination, so a rule that wants one never fits. */
        if (match_rule_get(m->rule, MATCH_DESTINATION) ||
            !match_rule_fits(m->rule, s->m, &s->args) ||
            !sender_fits(s, match_rule_get(m->rule, MATCH_SENDER)))
                return;
        m->owner->stamp = s->r->stamp;
        s->r->work++;
        s->fn(s->self, m->owner);
}

static void search_chain(struct search *s, uint64_t hash) {
        s->n_chains++;
        TABLE_FOREACH_HASH(node, &s->r->matches.rules, hash)
                consider(s, MATCH_OF_NODE(node));
}

static void add_value(struct search *s, uint64_t hash) {
        assert(s->n_values < MAX_VALUES);
        s->values[s->n_values++] = hash;
}

/* Under its unique name, and every name it owns or waits for. */
static void add_senders(struct search *s) {
        if (!s->sender) {
                add_value(s, table_hash(&s->r->key, DRIVER_NAME, strlen(DRIVER_NAME)));
                return;
        }
        add_value(s, table_hash(&s->r->key, s->sender->name, s->sender->n_name));
        LIST_FOREACH(l, &s->sender->names)
                add_value(s, LIST_OWNER(l, struct name_claim, claimed)->name->node.hash);
}

static struct message_string signal_text(struct search *s, enum match_by by) {
        const struct body_arg *arg;

        if (!bys[by].is_arg)
                return *(const struct message_string *)(const void *)((const char *)s->m +
                                                                      bys[by].field);
        arg = body_args_get(&s->args, bys[by].key);
        return (struct message_string){arg->s, arg->n};
}

static void add_texts(struct search *s, enum match_by by) {
        struct message_string t = signal_text(s, by);
        size_t ends[COMPONENTS], n = t.n;

        if (!t.s)
                return;
        if (n > LIMIT_MATCH_RULE_BYTES) /* no rule's text reaches so far */
                n = LIMIT_MATCH_RULE_BYTES;
        if (bys[by].separator == 0) {
                add_value(s, table_hash(&s->r->key, t.s, n));
                return;
        }
        n = find_ends(t.s, n, bys[by].separator, ends);
        for (size_t i = 0; i < n; i++)
                add_value(s, table_hash(&s->r->key, t.s, ends[i]));
}

static void learn_values(struct search *s, enum match_by by) {
        unsigned first = s->n_values;

        if (by == MATCH_BY_SENDER)
                add_senders(s);
        else
                add_texts(s, by);
        s->known |= 1u << by;
        s->values_of[by].at = (uint8_t)first;
        s->values_of[by].n = (uint8_t)(s->n_values - first);
}

/* The rules of a form under each combination of the signal's values; hash has those not in left. */
static void search_form(struct search *s, unsigned form, unsigned left, uint64_t hash) {
        enum match_by by;

        if (left == 0) {
                search_chain(s, combine(hash, form));
                return;
        }
        by = (enum match_by)__builtin_ctz(left);
        if (!(s->known & 1u << by))
                learn_values(s, by);
        for (unsigned i = 0; i < s->values_of[by].n; i++)
                search_form(s, form, left & (left - 1),
                            combine(hash, s->values[s->values_of[by].at + i]));
}

void match_each(struct router *r, struct connection *sender, const struct message *m,
                void (*fn)(void *self, struct connection *receiver), void *self) {
        struct search s _uninitialized_; /* it is large, and filled as it is asked for */

        s.r = r;
        s.sender = sender;
        s.m = m;
        s.fn = fn;
        s.self = self;
        s.known = s.n_values = s.n_chains = 0;
        message_args(m, &s.args);
        r->stamp++;
        for (unsigned i = 0; i < r->matches.n_used; i++)
                search_form(&s, r->matches.used[i], r->matches.used[i], 0);
        r->work += s.n_chains / LIMIT_TURN_CHAINS;
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
