/* SPDX-License-Identifier: MIT */
/*
 * The VM's own document portal, over the private bus.
 *
 * It is the only place where a host path becomes something the guest can reach, and
 * everything goes in under the VM's application id: the guest sees doc/by-app/<id>
 * alone, where the portal enforces what was granted.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "common/portal_table.h"
#include "sbsupervisor/config.h"
#include "sbsupervisor/inlet.h"
#include "sbsupervisor/privops.h"
#include "sbsupervisor/roots.h"

struct documents {
        sd_bus *bus;        /* ours, to the private router */
        struct inlet inlet; /* what it reads of that comes through this */
        const char *app_id;
        const struct config *config;
        int root; /* what "/" is to the daemons; borrowed */
        struct roots roots;
        char *share; /* what the guest sees, as we reach it; NULL until it is mounted */
        unsigned n_granted, n_foreign;     /* of this run: for STATUS= */
        void (*on_breach)(void *userdata, bool said); /* the private bus does not keep to its form */
        void *userdata;
};

enum {
        DOCUMENTS_E_REFUSED = 1, /* the document portal said no, or has no such document for us */
};

/*
 * root: privop_namespaces.root, borrowed.  take_fd: our end of the socketpair whose other end the private router got as PEER_SUPERVISOR.
 * d's on_breach is set; everything else is made here.
 */
int documents_open(struct documents *d, sd_event *event, int take_fd, const struct config *c,
                   int root, const char *app_id);
void documents_done(struct documents *d);

/* GetMountPoint: the reply comes when the documents are mounted. */
int documents_mount_point(struct documents *d, sd_bus_message_handler_t reply, void *userdata);

/*
 * Adds f, with no rights for anybody yet; the reply's document id goes to
 * documents_grant(), which adds rights to what the VM has (AddFull alone would replace them).
 */
int documents_add(struct documents *d, const struct privop_file *f, sd_bus_message_handler_t reply,
                  void *userdata, sd_bus_slot **ret);
int documents_add_reply(sd_bus_message *m, char **ret_id);

int documents_grant(struct documents *d, const char *id, bool write, sd_bus_message_handler_t reply,
                    void *userdata, sd_bus_slot **ret);

/* What an application may do with a document. */
enum {
        DOCUMENTS_READ = 1,
        DOCUMENTS_WRITE = 2,
};

/* The bit of a permission as the document portal calls it; 0 when there is none of that name. */
unsigned documents_permission(const char *name);
/* The reverse, as an "as". */
int documents_append_permissions(sd_bus_message *m, unsigned permissions);

/* Where a document of this VM is on the host (a new string), and what the VM may do with it. */
int documents_info(struct documents *d, const char *id, sd_bus_message_handler_t reply,
                   void *userdata, sd_bus_slot **ret);
int documents_info_reply(const struct documents *d, sd_bus_message *m, char **ret_path,
                         unsigned *ret_permissions);

/* 1 to 16 lower-case hex digits: "%x" of a random number, so not always eight. */
bool documents_id_is_valid(const char *id, size_t n);
