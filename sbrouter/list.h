/* SPDX-License-Identifier: MIT */
/*
 * Intrusive doubly linked lists: a link is a member of the object, so putting an
 * object on a list cannot fail.  A link that is on no list points to itself.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
        struct list *prev, *next;
};

#define LIST_OWNER(link, type, member) ((type *)(void *)((char *)(link) - offsetof(type, member)))

static inline void list_init(struct list *l) {
        l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l) {
        return l->next == l;
}

static inline void list_append(struct list *head, struct list *l) {
        l->prev = head->prev;
        l->next = head;
        head->prev->next = l;
        head->prev = l;
}

static inline void list_prepend(struct list *head, struct list *l) {
        list_append(head->next, l);
}

/* Safe to call for a link that is on no list. */
static inline void list_remove(struct list *l) {
        l->prev->next = l->next;
        l->next->prev = l->prev;
        list_init(l);
}

/* The body may remove the current link, and no other. */
#define LIST_FOREACH(link, head)                                                                   \
        for (struct list *link = (head)->next, *link##_next = link->next; link != (head);          \
             link = link##_next, link##_next = link->next)
