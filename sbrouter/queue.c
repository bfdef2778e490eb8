/* SPDX-License-Identifier: MIT */
#include "sbrouter/queue.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/limits.h"

#define SPARE_BLOB_MIN  65536u   /* below this malloc is as fast */
#define SPARE_BYTES     4194304u /* of all spare blobs: some bodies of 1 MiB in flight */
#define IOV_PER_SEND    64
#define MALLOC_OVERHEAD 8u

struct segment {
        struct segment *next;
        struct blob *blob; /* NULL: the bytes are in data */
        struct fd_list *fds;
        const uint8_t *p;
        unsigned size;        /* SEGMENT_x, or none of these */
        size_t off, len, cap; /* cap is 0 for a blob's: nothing can be appended */
        uint8_t data[];
};

static const struct {
        size_t cap;
        unsigned n_spare; /* what a busy turn uses, without returning to malloc: 1 MiB of each */
} sizes[SEGMENT_N_SIZES] = {
        /* A signal to each of a thousand receivers touches a thousand of these. */
        [SEGMENT_SMALL] = {1024 - sizeof(struct segment) - MALLOC_OVERHEAD, 1024},
        [SEGMENT_LARGE] = {16384, 64}, /* about a hundred small messages */
};

union fd_control {
        struct cmsghdr align;
        char buf[CMSG_SPACE(LIMIT_MESSAGE_FDS * sizeof(int))];
};

static struct blob *remove_spare(struct queue_pool *p, unsigned i) {
        struct blob *b = p->blobs[i];

        p->n_blobs--;
        memmove(&p->blobs[i], &p->blobs[i + 1], (p->n_blobs - i) * sizeof(p->blobs[0]));
        p->spare_bytes -= b->cap;
        return b;
}

static struct blob *find_spare(struct queue_pool *p, size_t cap, size_t expected) {
        for (unsigned i = p->n_blobs; i-- > 0;)
                if (p->blobs[i]->cap >= cap && p->blobs[i]->cap / 2 <= expected)
                        return remove_spare(p, i);
        return NULL;
}

struct blob *blob_new(struct queue_pool *p, size_t cap, size_t expected) {
        struct blob *b = find_spare(p, cap, expected);

        if (!b) {
                b = malloc(sizeof(*b) + cap);
                if (!b)
                        return NULL;
                b->cap = cap;
        }
        b->ref = 1;
        b->queued = false;
        p->bytes += b->cap;
        return b;
}

int blob_grow(struct blob **b, struct queue_pool *p, size_t cap) {
        struct blob *n;

        assert((*b)->ref == 1);
        if ((*b)->cap >= cap)
                return 0;
        n = realloc(*b, sizeof(*n) + cap);
        if (!n)
                return -ENOMEM;
        p->bytes += cap - n->cap;
        n->cap = cap;
        *b = n;
        return 0;
}

struct blob *blob_ref(struct blob *b) {
        b->ref++;
        return b;
}

/* A fresh large buffer costs a page fault per 4 KiB: keep the last ones, the next may be alike. */
static void keep_spare(struct queue_pool *p, struct blob *b) {
        while (p->n_blobs > 0 &&
               (p->n_blobs == SPARE_BLOBS || p->spare_bytes > SPARE_BYTES - b->cap))
                free(remove_spare(p, 0));
        p->blobs[p->n_blobs++] = b;
        p->spare_bytes += b->cap;
}

struct blob *blob_unref(struct blob *b, struct queue_pool *p) {
        if (!b || --b->ref > 0)
                return NULL;
        p->bytes -= b->cap;
        if (b->queued)
                p->queued -= b->cap;
        if (b->cap >= SPARE_BLOB_MIN && b->cap <= SPARE_BYTES)
                keep_spare(p, b);
        else
                free(b);
        return NULL;
}

struct fd_list *fd_list_new(const int *take_fds, unsigned n) {
        struct fd_list *l = malloc(sizeof(*l) + n * sizeof(int));

        if (!l)
                return NULL;
        l->ref = 1;
        l->n = n;
        memcpy(l->fds, take_fds, n * sizeof(int));
        return l;
}

struct fd_list *fd_list_ref(struct fd_list *l) {
        l->ref++;
        return l;
}

struct fd_list *fd_list_unref(struct fd_list *l) {
        if (!l || --l->ref > 0)
                return NULL;
        for (unsigned i = 0; i < l->n; i++)
                (void)fd_close(l->fds[i]);
        free(l);
        return NULL;
}

static struct segment *take_spare(struct queue_pool *p, unsigned size) {
        struct segment *s = p->spare[size].first;

        if (s) {
                p->spare[size].first = s->next;
                p->spare[size].n--;
        }
        return s;
}

/* Room for n bytes, more than that if size is one of the two; n is 0 for a blob's. */
static struct segment *segment_new(struct queue_pool *p, unsigned size, size_t n) {
        size_t cap = size < SEGMENT_N_SIZES ? sizes[size].cap : n;
        struct segment *s = size < SEGMENT_N_SIZES ? take_spare(p, size) : NULL;

        if (!s)
                s = malloc(sizeof(*s) + cap);
        if (!s)
                return NULL;
        *s = (struct segment){.p = s->data, .cap = cap, .size = size};
        p->bytes += sizeof(*s) + cap;
        p->queued += sizeof(*s) + cap;
        return s;
}

static void segment_free(struct queue_pool *p, struct segment *s) {
        unsigned size = s->size;

        blob_unref(s->blob, p);
        fd_list_unref(s->fds);
        p->bytes -= sizeof(*s) + s->cap;
        p->queued -= sizeof(*s) + s->cap;
        if (size < SEGMENT_N_SIZES && p->spare[size].n < sizes[size].n_spare) {
                s->next = p->spare[size].first;
                p->spare[size].first = s;
                p->spare[size].n++;
        } else {
                free(s);
        }
}

static void free_spares(struct queue_pool *p) {
        for (unsigned size = 0; size < SEGMENT_N_SIZES; size++)
                for (struct segment *s; (s = take_spare(p, size));)
                        free(s);
        while (p->n_blobs > 0)
                free(remove_spare(p, 0));
}

void queue_pool_done(struct queue_pool *p) {
        free_spares(p);
        *p = (struct queue_pool){0};
}

void queue_pool_trim(struct queue_pool *p) {
        free_spares(p);
        (void)malloc_trim(0);
}

/* What s takes as long as it is in a queue. */
static size_t memory_of(const struct segment *s) {
        return sizeof(*s) + s->cap + (s->blob ? s->blob->cap : 0);
}

static void append_segment(struct queue *q, struct segment *s) {
        if (q->tail)
                q->tail->next = s;
        else
                q->head = s;
        q->tail = s;
        q->memory += memory_of(s);
}

/* What keeping account takes was before, and is now another size. */
static void recount_shares(struct queue *q, struct queue_pool *p, size_t before) {
        size_t now = shares_memory(&q->shares);

        q->memory += now - before;
        p->bytes += now - before;
        p->queued += now - before;
}

int queue_charge(struct queue *q, struct queue_pool *p, uint64_t sender, size_t n) {
        size_t before = shares_memory(&q->shares);
        int v = shares_add(&q->shares, sender, n);

        recount_shares(q, p, before);
        return v;
}

/*
 * A small one is enough at first; behind a blob, where mostly another blob comes; and for
 * descriptors, behind which others begin the next.
 */
static unsigned choose_size(const struct queue *q, size_t n, bool has_fds) {
        if ((!q->tail || q->tail->blob || has_fds) && n <= sizes[SEGMENT_SMALL].cap)
                return SEGMENT_SMALL;
        return n <= sizes[SEGMENT_LARGE].cap ? SEGMENT_LARGE : SEGMENT_N_SIZES;
}

uint8_t *queue_reserve(struct queue *q, struct queue_pool *p, size_t n, struct fd_list *fds) {
        struct segment *s = q->tail;

        if (!s || fds || s->cap - s->len < n || s->cap == 0) {
                s = segment_new(p, choose_size(q, n, fds), n);
                if (!s)
                        return NULL;
                append_segment(q, s);
        }
        if (fds) {
                s->fds = fd_list_ref(fds);
                q->n_fds += fds->n;
                p->n_fds += fds->n;
        }
        return s->data + s->len;
}

void queue_commit(struct queue *q, size_t n) {
        assert(q->tail && q->tail->cap - q->tail->len >= n);
        q->tail->len += n;
        q->bytes += n;
}

int queue_push_blob(struct queue *q, struct queue_pool *p, struct blob *b, size_t off, size_t n) {
        struct segment *s;

        if (n == 0)
                return 0;
        s = segment_new(p, SEGMENT_N_SIZES, 0);
        if (!s)
                return -ENOMEM;
        s->blob = blob_ref(b);
        if (!b->queued)
                p->queued += b->cap;
        b->queued = true;
        s->p = b->data + off;
        s->len = n;
        append_segment(q, s);
        q->bytes += n;
        return 0;
}

/*
 * Segments from the head on, up to the next that carries descriptors: those must
 * arrive with the first byte of their own message and not before.
 */
static size_t gather(const struct queue *q, struct iovec iov[IOV_PER_SEND], size_t *ret_bytes) {
        size_t n = 0;

        *ret_bytes = 0;
        for (const struct segment *s = q->head; s && n < IOV_PER_SEND; s = s->next) {
                if (s->fds && n > 0)
                        break;
                iov[n++] = (struct iovec){(void *)(s->p + s->off), s->len - s->off};
                *ret_bytes += s->len - s->off;
        }
        return n;
}

static void attach_fds(struct msghdr *mh, union fd_control *ctl, const struct fd_list *l) {
        struct cmsghdr *cm;

        assert(l->n <= LIMIT_MESSAGE_FDS);
        *ctl = (union fd_control){0};
        mh->msg_control = ctl->buf;
        mh->msg_controllen = CMSG_SPACE(l->n * sizeof(int));
        cm = CMSG_FIRSTHDR(mh);
        cm->cmsg_level = SOL_SOCKET;
        cm->cmsg_type = SCM_RIGHTS;
        cm->cmsg_len = CMSG_LEN(l->n * sizeof(int));
        memcpy(CMSG_DATA(cm), l->fds, l->n * sizeof(int));
}

/* The head's descriptors have left, or are dropped; how many they were. */
static unsigned take_fds(struct queue *q) {
        unsigned n = q->head->fds ? q->head->fds->n : 0;

        q->n_fds -= n;
        q->head->fds = fd_list_unref(q->head->fds);
        return n;
}

static void consume(struct queue *q, struct queue_pool *p, size_t n) {
        size_t before = shares_memory(&q->shares);

        q->bytes -= n;
        shares_take(&q->shares, n);
        recount_shares(q, p, before);
        while (q->head && n >= q->head->len - q->head->off) {
                struct segment *s = q->head;

                n -= s->len - s->off;
                q->head = s->next;
                q->memory -= memory_of(s);
                segment_free(p, s);
        }
        if (q->head)
                q->head->off += n;
        else
                q->tail = NULL;
}

/* n bytes from the head have left; with the first of them the head's descriptors did. */
static void note_sent(struct queue *q, struct queue_pool *p, size_t n) {
        unsigned n_fds = n > 0 ? take_fds(q) : 0;

        q->n_sent_fds += n_fds;
        if (n_fds > q->most_sent_fds)
                q->most_sent_fds = n_fds;
        consume(q, p, n);
}

static int why_not_sent(int e) {
        if (e == EAGAIN || e == EINTR)
                return QUEUE_E_AGAIN;
        return e == ETOOMANYREFS ? QUEUE_E_FDS : QUEUE_E_GONE;
}

int queue_flush(struct queue *q, struct queue_pool *p, int fd) {
        while (q->head) {
                struct iovec iov[IOV_PER_SEND] _uninitialized_;
                union fd_control ctl _uninitialized_;
                struct msghdr mh = {.msg_iov = iov};
                size_t want;
                ssize_t n;

                mh.msg_iovlen = gather(q, iov, &want);
                if (q->head->fds)
                        attach_fds(&mh, &ctl, q->head->fds);
                n = sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n < 0)
                        return why_not_sent(errno);
                note_sent(q, p, (size_t)n);
                if ((size_t)n < want)
                        return QUEUE_E_AGAIN;
        }
        return 0;
}

const uint8_t *queue_head(const struct queue *q, size_t *ret_n) {
        *ret_n = q->head ? q->head->len - q->head->off : 0;
        return q->head ? q->head->p + q->head->off : NULL;
}

void queue_drop(struct queue *q, struct queue_pool *p, size_t n) {
        p->n_fds -= take_fds(q);
        consume(q, p, n);
}

void queue_received(struct queue *q, struct queue_pool *p, unsigned n) {
        assert(n <= q->n_sent_fds);
        p->n_fds -= q->n_sent_fds - n;
        q->n_sent_fds = n;
        if (n == 0)
                q->most_sent_fds = 0;
}

void queue_done(struct queue *q, struct queue_pool *p) {
        size_t before = shares_memory(&q->shares);

        p->n_fds -= q->n_fds + q->n_sent_fds;
        for (struct segment *s = q->head, *next; s; s = next) {
                next = s->next;
                segment_free(p, s);
        }
        shares_done(&q->shares);
        recount_shares(q, p, before);
        *q = (struct queue){0};
}
