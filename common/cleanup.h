/* SPDX-License-Identifier: MIT */
/*
 * Ownership in the type system's stead: a variable declared with one of these
 * attributes is released when it goes out of scope; TAKE_PTR()/TAKE_FD() hand
 * the value over and leave nothing behind to release.
 */
#pragma once

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef NDEBUG
#error "asserts guard our own invariants and stay on: do not define NDEBUG"
#endif

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _noreturn_ __attribute__((noreturn))
#define _unused_ __attribute__((unused))
/* Large, and written before it is read: not worth the clearing that the build adds. */
#define _uninitialized_ __attribute__((uninitialized))

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

/* DEFINE_CLEANUP(struct foo *, foo_free) defines foo_freep() for _cleanup_(foo_freep). */
#define DEFINE_CLEANUP(type, func)                                                                 \
        static inline void func##p(type *p) {                                                      \
                if (*p)                                                                            \
                        func(*p);                                                                  \
        }                                                                                          \
        struct func##_semicolon

#define TAKE_PTR(p)                                                                                \
        __extension__({                                                                            \
                __typeof__(p) _taken = (p);                                                        \
                (p) = NULL;                                                                        \
                _taken;                                                                            \
        })

#define TAKE_FD(fd)                                                                                \
        __extension__({                                                                            \
                int _taken = (fd);                                                                 \
                (fd) = -1;                                                                         \
                _taken;                                                                            \
        })

static inline void cleanup_freep(void *p) {
        free(*(void **)p);
}

/* close() that cannot disturb errno: used on error paths whose errno still matters. */
static inline int fd_close(int fd) {
        if (fd >= 0) {
                int saved = errno;

                (void)close(fd);
                errno = saved;
        }
        return -1;
}

static inline void cleanup_closep(int *fd) {
        *fd = fd_close(*fd);
}

#define _cleanup_free_ _cleanup_(cleanup_freep)
#define _cleanup_close_ _cleanup_(cleanup_closep)
