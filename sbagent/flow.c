/* SPDX-License-Identifier: MIT */
#include "sbagent/flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void drop(struct flow *f) {
        free(f->data);
        f->data = NULL;
        f->off = f->n = 0;
}

void flow_done(struct flow *f) {
        drop(f);
}

void flow_break(struct flow *f) {
        drop(f);
        f->broken = true;
}

int flow_put(struct flow *f, const void *data, size_t n) {
        size_t left = f->n - f->off;
        uint8_t *p;

        if (n == 0)
                return 0;
        p = malloc(left + n);
        if (!p)
                return -ENOMEM;
        if (left > 0)
                memcpy(p, f->data + f->off, left);
        memcpy(p + left, data, n);
        drop(f);
        f->data = p;
        f->n = left + n;
        return 0;
}

/* The number of bytes the receiver took; breaks the flow when it is gone. */
static size_t write_some(struct flow *f, int to, const uint8_t *p, size_t n) {
        ssize_t k = send(to, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (k >= 0)
                return (size_t)k;
        if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
                flow_break(f);
        return 0;
}

static void flush(struct flow *f, int to, bool *moved) {
        size_t k = write_some(f, to, f->data + f->off, f->n - f->off);

        *moved = k > 0 || f->broken;
        f->off += k;
        if (f->off == f->n)
                drop(f);
}

static int pass(struct flow *f, int from, int to, uint8_t *scratch, size_t n_scratch, bool *moved) {
        ssize_t n = recv(from, scratch, n_scratch, MSG_DONTWAIT);
        size_t k;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        *moved = true;
        if (n <= 0) { /* reset counts as the end: there is nobody to tell the difference to */
                f->eof = true;
                return 0;
        }
        k = write_some(f, to, scratch, (size_t)n);
        return f->broken ? 0 : flow_put(f, scratch + k, (size_t)n - k);
}

int flow_move(struct flow *f, int from, int to, void *scratch, size_t n_scratch, bool *ret_moved) {
        int r = 0;

        *ret_moved = false;
        if (flow_wants_write(f))
                flush(f, to, ret_moved);
        else if (flow_wants_read(f))
                r = pass(f, from, to, scratch, n_scratch, ret_moved);
        if (f->eof && !f->data && !f->broken && !f->shut) {
                (void)shutdown(to, SHUT_WR); /* fails only when it is gone: it will be seen */
                f->shut = true;
        }
        return r;
}
