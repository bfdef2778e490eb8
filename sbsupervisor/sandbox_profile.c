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

#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/cleanup.h"

#define ANY(name) {.nr = SCMP_SYS(name)}
/* The bits `mask` of argument i are `value`. */
#define IF(name, i, mask, value) {.nr = SCMP_SYS(name), .n_args = 1, .args = {{(i), (mask), (value)}}}
#define FAMILY(f) IF(socket, 0, UINT32_MAX, (f))

static const struct sandbox_syscall refused[] = {
        /* Other processes from within: procs.c knows them by pidfd and channel only. */
        ANY(ptrace),
        ANY(process_vm_readv),
        ANY(process_vm_writev),
        ANY(process_madvise),
        ANY(pidfd_getfd),
        ANY(kcmp),
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
        ANY(vmsplice),
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
        /* Words put into the terminal that it was started from, for the shell there. */
        IF(ioctl, 1, UINT32_MAX, TIOCSTI),
        IF(ioctl, 1, UINT32_MAX, TIOCLINUX),
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
        /* Sockets of all families but AF_UNIX and AF_VSOCK: no network is spoken. */
        FAMILY(AF_UNSPEC), FAMILY(AF_INET), FAMILY(AF_AX25), FAMILY(AF_IPX), FAMILY(AF_APPLETALK),
        FAMILY(AF_NETROM), FAMILY(AF_BRIDGE), FAMILY(AF_ATMPVC), FAMILY(AF_X25), FAMILY(AF_INET6),
        FAMILY(AF_ROSE), FAMILY(AF_DECnet), FAMILY(AF_NETBEUI), FAMILY(AF_SECURITY), FAMILY(AF_KEY),
        FAMILY(AF_NETLINK), FAMILY(AF_PACKET), FAMILY(AF_ASH), FAMILY(AF_ECONET), FAMILY(AF_ATMSVC),
        FAMILY(AF_RDS), FAMILY(AF_SNA), FAMILY(AF_IRDA), FAMILY(AF_PPPOX), FAMILY(AF_WANPIPE),
        FAMILY(AF_LLC), FAMILY(AF_IB), FAMILY(AF_MPLS), FAMILY(AF_CAN), FAMILY(AF_TIPC),
        FAMILY(AF_BLUETOOTH), FAMILY(AF_IUCV), FAMILY(AF_RXRPC), FAMILY(AF_ISDN), FAMILY(AF_PHONET),
        FAMILY(AF_IEEE802154), FAMILY(AF_CAIF), FAMILY(AF_ALG), FAMILY(AF_NFC), FAMILY(AF_KCM),
        FAMILY(AF_QIPCRTR), FAMILY(AF_SMC), FAMILY(AF_XDP), FAMILY(AF_MCTP),
};

static const struct sandbox_rlimit rlimits[] = {
        {RLIMIT_CORE, 0}, /* its memory names the person's files */
};

/*
 * Dumpable, because xdg-desktop-portal opens /proc/PID/root of its callers.  No capability:
 * what it may do, it may as the person; those of the documents namespace come from owning it.
 * No Landlock: a person may pick any file there is.
 */
const struct sandbox_profile supervisor_profile = {
        .name = "sbsupervisor",
        .layers = SANDBOX_SECCOMP,
        .dumpable = true,
        .starts_programs = true,
        .rlimits = rlimits,
        .n_rlimits = ELEMENTSOF(rlimits),
        .refused = refused,
        .n_refused = ELEMENTSOF(refused),
};
