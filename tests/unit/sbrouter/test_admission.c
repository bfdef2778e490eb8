/* SPDX-License-Identifier: MIT */
#include "sbrouter/admission.h"

#include "ipc/ipc_msg.h"
#include "tests/test.h"

#define OWN_UID 1000u

static int check_cid(uint32_t flags, sa_family_t family, uint32_t listens_for, uint32_t comes_from) {
        struct sockaddr_vm peer = {.svm_family = family, .svm_cid = comes_from, .svm_port = 42};

        return admission_check(flags, listens_for, OWN_UID, &peer, &(struct credentials){0});
}

static void test_cid(void) {
        static const uint32_t cids[] = {0, 1, 2, 3, 42, 43, 0x4000002a, 0xfffffffe, 0xffffffff};
        const uint32_t guest = IPC_LISTEN_GUEST | IPC_LISTEN_CID;

        CHECK_EQ_INT(check_cid(guest, AF_VSOCK, 42, 42), 0);
        CHECK_EQ_INT(check_cid(IPC_LISTEN_CID, AF_VSOCK, 42, 42), 0);
        for (size_t i = 0; i < ELEMENTSOF(cids); i++) {
                if (cids[i] != 42)
                        CHECK_EQ_INT(check_cid(guest, AF_VSOCK, 42, cids[i]), ADMISSION_E_CID);
                /* Only vsock has CIDs: what stands there for another family is no number. */
                CHECK_EQ_INT(check_cid(guest, AF_UNIX, cids[i], cids[i]), ADMISSION_E_CID);
                CHECK_EQ_INT(check_cid(guest, AF_UNSPEC, cids[i], cids[i]), ADMISSION_E_CID);
                CHECK_EQ_INT(check_cid(IPC_LISTEN_GUEST, AF_VSOCK, 0, cids[i]), 0);
        }
}

static int check_uid(uint32_t flags, bool has_uid, uint32_t uid) {
        struct credentials cred = {.has_uid = has_uid, .uid = uid};

        return admission_check(flags, 0, OWN_UID, &(struct sockaddr_vm){.svm_family = AF_UNIX},
                               &cred);
}

static void test_owner(void) {
        const uint32_t owner = IPC_LISTEN_OWNER | IPC_LISTEN_FDS;

        CHECK_EQ_INT(check_uid(owner, true, OWN_UID), 0);
        CHECK_EQ_INT(check_uid(owner, true, 0), 0);
        CHECK_EQ_INT(check_uid(owner, true, OWN_UID + 1), ADMISSION_E_OWNER);
        CHECK_EQ_INT(check_uid(owner, true, 65534), ADMISSION_E_OWNER);
        CHECK_EQ_INT(check_uid(owner, false, OWN_UID), ADMISSION_E_OWNER);
        CHECK_EQ_INT(check_uid(owner, false, 0), ADMISSION_E_OWNER); /* not known is not root */
        CHECK_EQ_INT(check_uid(IPC_LISTEN_FDS, true, OWN_UID + 1), 0);
        CHECK_EQ_INT(check_uid(IPC_LISTEN_GUEST, false, 0), 0);
}

/* One that is not enough does not make up for the other. */
static void test_both(void) {
        const uint32_t both = IPC_LISTEN_CID | IPC_LISTEN_OWNER;
        struct sockaddr_vm here = {.svm_family = AF_VSOCK, .svm_cid = 42};
        struct sockaddr_vm there = {.svm_family = AF_VSOCK, .svm_cid = 43};
        struct credentials own = {.has_uid = true, .uid = OWN_UID}, other = {0};

        CHECK_EQ_INT(admission_check(both, 42, OWN_UID, &here, &own), 0);
        CHECK_EQ_INT(admission_check(both, 42, OWN_UID, &there, &own), ADMISSION_E_CID);
        CHECK_EQ_INT(admission_check(both, 42, OWN_UID, &here, &other), ADMISSION_E_OWNER);
        CHECK(strstr(admission_strerror(ADMISSION_E_CID), "CID"));
        CHECK(strstr(admission_strerror(ADMISSION_E_OWNER), "user"));
}

TEST_MAIN({"the VM's CID and no other", test_cid}, {"the bus's own user, or root", test_owner},
          {"both at once", test_both})
