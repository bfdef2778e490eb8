/* SPDX-License-Identifier: MIT */
#include "sbrouter/admission.h"

#include <assert.h>

#include "common/cleanup.h"
#include "ipc/ipc_msg.h"

int admission_check(uint32_t flags, uint32_t cid, uint32_t own_uid, const struct sockaddr_vm *peer,
                    const struct credentials *cred) {
        if ((flags & IPC_LISTEN_CID) && (peer->svm_family != AF_VSOCK || peer->svm_cid != cid))
                return ADMISSION_E_CID;
        if ((flags & IPC_LISTEN_OWNER) &&
            (!cred->has_uid || (cred->uid != own_uid && cred->uid != 0)))
                return ADMISSION_E_OWNER;
        return 0;
}

const char *admission_strerror(int e) {
        static const char *const texts[] = {
                [ADMISSION_E_CID] = "it does not come from the VM's CID",
                [ADMISSION_E_OWNER] = "it belongs to another user",
        };

        assert(e > 0 && (size_t)e < ELEMENTSOF(texts));
        return texts[e];
}
