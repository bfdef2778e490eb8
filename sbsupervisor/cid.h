/* SPDX-License-Identifier: MIT */
/*
 * The address of a VM, for one of this person's instances at a time: two VMs configured with one CID
 * would each be taken for the other.  The claim is a locked file, $XDG_RUNTIME_DIR/sidebus/.cid-N,
 * which holds the VM's name and is gone after a stop.
 *
 * What other persons' instances and VMs without sidebus use is not seen.
 */
#pragma once

#include <stdint.h>

struct cid_claim {
        char *path; /* NULL: nothing is claimed */
        int fd;
};

enum {
        CID_E_TAKEN = 1, /* another VM has it (logged) */
};

/* 0, CID_E_TAKEN, or a negative errno, logged.  Without XDG_RUNTIME_DIR there is nothing to claim. */
int cid_claim(struct cid_claim *c, uint32_t cid, const char *vm);
void cid_release(struct cid_claim *c);

/* Removes what a killed instance left of its claim; not the claim of one that runs. */
void cid_cleanup(uint32_t cid);
