/* SPDX-License-Identifier: MIT */
#include "common/cleanup.h"
#include "sbrouter/body_walk.h"

void body_args_init(struct body_args *args, const char *signature, size_t n_signature,
                    const void *data, size_t n, bool big_endian) {
        args->signature = signature;
        args->n_signature = n_signature;
        args->data = data;
        args->n = n;
        args->at_signature = args->at = 0;
        args->big_endian = big_endian;
        args->n_known = 0;
}

static int take_argument(struct walk *w, struct body_arg *ret) {
        ret->type = *w->signature;
        if (ret->type == 'u')
                return body_walk_u32(w, &ret->n);
        if (ret->type != 's' && ret->type != 'o')
                return body_walk(w);
        TRY(body_walk_u32(w, &ret->n));
        return body_walk_text(w, ret->n, &ret->s);
}

static void next_argument(struct body_args *args) {
        struct body_arg *a = &args->known[args->n_known++];
        const char *type = args->signature + args->at_signature, *behind;
        struct walk w _uninitialized_;

        *a = (struct body_arg){0};
        if (args->at_signature >= args->n_signature)
                return;
        behind = body_skip_type(type);
        body_walk_init(&w, type, (size_t)(behind - type), args->data, args->n, args->big_endian);
        w.is_trusted = true;
        w.at = args->at;
        if (take_argument(&w, a) == 0) {
                args->at_signature = (size_t)(behind - args->signature);
                args->at = w.at;
        } else { /* only a body that was never validated: it has no more arguments */
                *a = (struct body_arg){0};
                args->at_signature = args->n_signature;
        }
}

const struct body_arg *body_args_get(struct body_args *args, unsigned i) {
        static const struct body_arg none;

        if (i >= BODY_MAX_ARGS)
                return &none;
        while (args->n_known <= i)
                next_argument(args);
        return &args->known[i];
}

const char *body_args_next_string(const struct body_args *args, size_t *at, size_t *ret_n) {
        size_t end = 4 + (size_t)wire_u32(args->data, args->big_endian);
        const char *s;

        *at = *at == 0 ? 4 : (*at + 3) / 4 * 4;
        if (*at >= end)
                return NULL;
        *ret_n = wire_u32(args->data + *at, args->big_endian);
        s = (const char *)args->data + *at + 4;
        *at += 4 + *ret_n + 1;
        return s;
}
