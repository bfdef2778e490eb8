/* SPDX-License-Identifier: MIT */
#include "sbrouter/share.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define SLOT_OWN    UINT32_MAX /* as a slot: sender 0 */
#define FIRST_MARKS 16u        /* a power of two, as every size of the ring */
#define FIRST_PLACES 4u        /* most queues have one sender */
/* These are kept while nothing waits: as much as a busy connection takes in a turn. */
#define KEPT_MARKS  64u
#define KEPT_PLACES 16u

struct share_mark {
        uint32_t slot;
        uint32_t n;
};

static uint32_t find(const struct shares *s, uint64_t sender) {
        uint32_t i = 0;

        while (i < s->n && s->of[i].sender != sender)
                i++;
        return i;
}

static struct share_mark *mark_at(const struct shares *s, size_t i) {
        return &s->marks[(s->first + i) & (s->cap_marks - 1)];
}

/* Who sends again at once is found without a search. */
static int choose_slot(struct shares *s, uint64_t sender, uint32_t *ret) {
        uint32_t i = s->n_marks > 0 ? mark_at(s, s->n_marks - 1)->slot : SLOT_OWN;

        *ret = SLOT_OWN;
        if (sender == 0)
                return 0;
        if (i == SLOT_OWN || s->of[i].sender != sender)
                i = find(s, sender);
        if (i == s->n)
                i = find(s, 0);
        if (i == s->cap) {
                uint32_t cap = s->cap > 0 ? s->cap * 2 : FIRST_PLACES;
                struct share *of = realloc(s->of, cap * sizeof(*of));

                if (!of)
                        return -ENOMEM;
                s->of = of;
                s->cap = cap;
        }
        if (i == s->n)
                s->of[s->n++] = (struct share){0};
        s->of[i].sender = sender;
        *ret = i;
        return 0;
}

static int grow_ring(struct shares *s) {
        size_t cap = s->cap_marks > 0 ? s->cap_marks * 2 : FIRST_MARKS;
        struct share_mark *marks = malloc(cap * sizeof(*marks));

        if (!marks)
                return -ENOMEM;
        for (size_t i = 0; i < s->n_marks; i++)
                marks[i] = *mark_at(s, i);
        free(s->marks);
        s->marks = marks;
        s->cap_marks = cap;
        s->first = 0;
        return 0;
}

static int push_mark(struct shares *s, uint32_t slot, uint32_t n) {
        struct share_mark *last = s->n_marks > 0 ? mark_at(s, s->n_marks - 1) : NULL;

        if (last && last->slot == slot && !__builtin_add_overflow(last->n, n, &last->n))
                return 0;
        if (last && last->slot == slot) /* the overflow was stored */
                last->n -= n;
        if (s->n_marks == s->cap_marks) {
                int v = grow_ring(s);

                if (v < 0)
                        return v;
        }
        *mark_at(s, s->n_marks++) = (struct share_mark){slot, n};
        return 0;
}

int shares_add(struct shares *s, uint64_t sender, size_t n) {
        uint32_t slot;
        int v;

        assert(n <= UINT32_MAX);
        if (n == 0)
                return 0;
        v = choose_slot(s, sender, &slot);
        if (v == 0)
                v = push_mark(s, slot, (uint32_t)n);
        if (v < 0)
                return v;
        if (slot == SLOT_OWN) {
                s->own += n;
        } else {
                s->of[slot].bytes += n;
                s->lent += n;
        }
        return 0;
}

static void release(struct shares *s, uint32_t slot, uint32_t n) {
        if (slot == SLOT_OWN) {
                s->own -= n;
                return;
        }
        s->lent -= n;
        s->of[slot].bytes -= n;
        if (s->of[slot].bytes == 0)
                s->of[slot].sender = 0;
}

size_t shares_memory(const struct shares *s) {
        size_t places = s->cap > KEPT_PLACES ? s->cap : 0;
        size_t marks = s->cap_marks > KEPT_MARKS ? s->cap_marks : 0;

        return places * sizeof(*s->of) + marks * sizeof(*s->marks);
}

/* Nothing waits.  Once there were many, of as many senders: what that took is not kept. */
static void forget_peak(struct shares *s) {
        s->n = 0;
        if (shares_memory(s) > 0)
                shares_done(s);
}

void shares_take(struct shares *s, size_t n) {
        while (n > 0) {
                struct share_mark *m;
                uint32_t k;

                assert(s->n_marks > 0);
                m = mark_at(s, 0);
                k = n < m->n ? (uint32_t)n : m->n;
                m->n -= k;
                n -= k;
                release(s, m->slot, k);
                if (m->n == 0) {
                        s->first = (s->first + 1) & (s->cap_marks - 1);
                        s->n_marks--;
                }
        }
        if (s->n_marks == 0)
                forget_peak(s);
}

size_t shares_of(const struct shares *s, uint64_t sender) {
        uint32_t i = find(s, sender);

        return i < s->n ? s->of[i].bytes : 0;
}

void shares_done(struct shares *s) {
        free(s->of);
        free(s->marks);
        *s = (struct shares){0};
}
