/* SPDX-License-Identifier: MIT */
/*
 * What sbsupervisor gives up at its start.  Only data.
 *
 * A filter is inherited by what is started, and of that three programs are not ours: the portal
 * daemons and virtiofsd, with fusermount3.  They mount, make namespaces and change their root, and
 * their next versions will do what nobody has written down.  So this is a list of what neither we
 * nor they have a use for, the rest stays; and it is refused with EPERM, not death: a version that
 * tries one and can do without goes on.  sbrouter and sbportal put their own lists on top.
 */
#include "sbsupervisor/sandbox_profile.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/sandbox_rows.h"

/* When argument i has this bit. */
#define HAS(name, i, bit) IF(name, i, UINT64_C(1) << (bit), UINT64_C(1) << (bit))
#define FAMILY(f) IS(socket, 0, (f)), IS(socketpair, 0, (f))
/* All with this bit in their number. */
#define FAMILIES(bit) HAS(socket, 0, bit), HAS(socketpair, 0, bit)

/* When the mode that argument i is sets one of the two. */
#define SET_ID(name, i) IF(name, i, S_ISUID, S_ISUID), IF(name, i, S_ISGID, S_ISGID)
/* When argument i, flags, has this one, and so the next is a mode. */
#define SET_ID_MADE(name, i, flag)                                                                 \
        BOTH(name, {(i), (flag), (flag)}, {(i) + 1, S_ISUID, S_ISUID}),                            \
                BOTH(name, {(i), (flag), (flag)}, {(i) + 1, S_ISGID, S_ISGID})

_Static_assert(AF_UNIX == 1 && AF_VSOCK == (32 | 8), "the rows of socket() say so");

/* When argument i, an int, is not 0. */
#define NOT_0(name, i)                                                                             \
        OF_8(name, i, 0), OF_8(name, i, 8), OF_8(name, i, 16), OF_8(name, i, 24)
#define OF_8(name, i, bit)                                                                         \
        HAS(name, i, (bit)), HAS(name, i, (bit) + 1), HAS(name, i, (bit) + 2),                     \
                HAS(name, i, (bit) + 3), HAS(name, i, (bit) + 4), HAS(name, i, (bit) + 5),         \
                HAS(name, i, (bit) + 6), HAS(name, i, (bit) + 7)

static const struct sandbox_syscall refused[] = {
        /*
         * Other processes from within: procs.c knows them by pidfd and channel only.  By
         * /proc/PID/mem the same is done without a call of its own; that door is Landlock's.
         * pidfd_open(2) opens none, and virtiofsd has one of itself.
         */
        ANY(ptrace),
        ANY(process_vm_readv),
        ANY(process_vm_writev),
        ANY(process_madvise),
        ANY(pidfd_getfd),
        ANY(kcmp),
        NUMBER(448), /* process_mrelease */
        /* The kernel's largest surfaces for nothing that is done here. */
        ANY(bpf),
        ANY(perf_event_open),
        ANY(userfaultfd),
        ANY(io_uring_setup),
        ANY(io_uring_enter),
        ANY(io_uring_register),
        ANY(add_key),
        ANY(request_key),
        ANY(keyctl),
        ANY(fanotify_init),
        ANY(fanotify_mark),
        ANY(memfd_secret),
        ANY(lookup_dcookie),
        ANY(modify_ldt),
        ANY(personality),
        ANY(mbind),
        ANY(set_mempolicy),
        ANY(migrate_pages),
        ANY(move_pages),
        NUMBER(450), /* set_mempolicy_home_node */
        ANY(vmsplice),
        NUMBER(451), /* cachestat: who has read which file */
        NUMBER(459), /* lsm_get_self_attr */
        NUMBER(460), /* lsm_set_self_attr */
        NUMBER(461), /* lsm_list_modules */
        /* A file by a number that goes round every directory: virtiofsd has --inode-file-handles=never. */
        ANY(open_by_handle_at),
        /* A program by a descriptor; all that is started has a path: launch.c. */
        ANY(execveat),
        /* The root is changed by pivot_root(2) alone: common/sandbox_root.c and virtiofsd. */
        ANY(chroot),
        /* A guest may make a FIFO in a document that is a directory, no device. */
        IF(mknod, 1, S_IFMT, S_IFCHR),
        IF(mknod, 1, S_IFMT, S_IFBLK),
        IF(mknodat, 2, S_IFMT, S_IFCHR),
        IF(mknodat, 2, S_IFMT, S_IFBLK),
        /*
         * Nor a program that runs as the person whoever starts it.  Of what openat2(2) makes the mode is
         * not seen: the daemons have none, see below.  Of directories mkdir(2) drops both bits.
         */
        SET_ID(chmod, 1), SET_ID(fchmod, 1), SET_ID(fchmodat, 2), SET_ID(creat, 1),
        SET_ID(mknod, 1), SET_ID(mknodat, 2),
        SET_ID_MADE(open, 1, O_CREAT), SET_ID_MADE(openat, 2, O_CREAT),
        SET_ID_MADE(open, 1, O_TMPFILE & ~O_DIRECTORY), SET_ID_MADE(openat, 2, O_TMPFILE & ~O_DIRECTORY),
        {.nr = 452, .n_args = 1, .args = {{2, S_ISUID, S_ISUID}}}, /* fchmodat2 */
        {.nr = 452, .n_args = 1, .args = {{2, S_ISGID, S_ISGID}}},
        /* What a file is to its file system: immutable, of another quota's project. */
        NUMBER(469), /* file_setattr */
        IS(ioctl, 1, FS_IOC_SETFLAGS),
        IS(ioctl, 1, FS_IOC_FSSETXATTR),
        /* Words put into the terminal that it was started from, for the shell there. */
        IS(ioctl, 1, TIOCSTI),
        IS(ioctl, 1, TIOCLINUX),
        /* The machine: none of it is a person's, but refused at this door, too. */
        ANY(acct),
        ANY(adjtimex),
        ANY(clock_adjtime),
        ANY(clock_settime),
        ANY(delete_module),
        ANY(finit_module),
        ANY(init_module),
        ANY(ioperm),
        ANY(iopl),
        ANY(kexec_file_load),
        ANY(kexec_load),
        ANY(quotactl),
        ANY(quotactl_fd),
        ANY(reboot),
        ANY(setdomainname),
        ANY(sethostname),
        ANY(settimeofday),
        ANY(swapoff),
        ANY(swapon),
        ANY(syslog),
        ANY(vhangup),
        /*
         * Sockets of all families but AF_UNIX and AF_VSOCK, those of kernels to come too: no
         * network is spoken.  A row compares bits: each that is in neither of the two, then what
         * else the three bits of these make.
         */
        FAMILIES(1), FAMILIES(2), FAMILIES(4), FAMILIES(6), FAMILIES(7), FAMILIES(8), FAMILIES(9),
        FAMILIES(10), FAMILIES(11), FAMILIES(12), FAMILIES(13), FAMILIES(14), FAMILIES(15),
        FAMILIES(16), FAMILIES(17), FAMILIES(18), FAMILIES(19), FAMILIES(20), FAMILIES(21),
        FAMILIES(22), FAMILIES(23), FAMILIES(24), FAMILIES(25), FAMILIES(26), FAMILIES(27),
        FAMILIES(28), FAMILIES(29), FAMILIES(30), FAMILIES(31),
        FAMILY(0), FAMILY(1 | 8), FAMILY(1 | 32), FAMILY(1 | 8 | 32), FAMILY(8), FAMILY(32),
};

/*
 * What the portal daemons and virtiofsd have no use for, though we have.  Who is in the place of
 * one could talk to the VM, be its host to it, or be a server that the person's programs look for.
 * Signals are not in here: the document portal needs tgkill(2), which reaches as far as kill(2).
 */
static const struct sandbox_syscall refused_to_daemons[] = {
        FAMILY(AF_VSOCK),
        /* They are given what they listen on. */
        ANY(bind),
        ANY(listen),
        /* A mode in memory, which no filter sees.  Who is told that there is none takes openat(2). */
        {.nr = SCMP_SYS(openat2), .error = ENOSYS},
        /* The limits of others: one of CPU time kills as a signal does, past Landlock. */
        NOT_0(prlimit64, 0),
};

static const struct sandbox_rlimit rlimits[] = {
        {RLIMIT_CORE, 0}, /* its memory names the person's files */
};

/*
 * Dumpable, because xdg-desktop-portal opens /proc/PID/root of its callers.  No capability:
 * what it may do, it may as the person; those of the documents namespace come from owning it.
 * Of Landlock no more than what binds no file: a person may pick any there is.
 */
const struct sandbox_profile supervisor_profile = {
        .name = "sbsupervisor",
        .layers = SANDBOX_LANDLOCK | SANDBOX_SECCOMP,
        .landlock = SANDBOX_LANDLOCK_SIGNALS, /* the session bus may have an abstract name */
        .dumpable = true,
        .starts_programs = true,
        .rlimits = rlimits,
        .n_rlimits = ELEMENTSOF(rlimits),
        .refused = refused,
        .n_refused = ELEMENTSOF(refused),
};

/* On top of ours, which they inherit. */
const struct sandbox_profile daemon_profile = {
        .name = "portal daemons",
        .layers = SANDBOX_LANDLOCK | SANDBOX_SECCOMP,
        .landlock = SANDBOX_LANDLOCK_OUTSIDE,
        .refused = refused_to_daemons,
        .n_refused = ELEMENTSOF(refused_to_daemons),
};
