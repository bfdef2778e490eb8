/* SPDX-License-Identifier: MIT */
/*
 * Every operation that needs what only the supervisor has: the person's files, the
 * right to start programs, the right to make namespaces.  Nothing else in the tree
 * may do these; a request that leads here is a fact the caller has checked ("the
 * person picked this path in a dialog of ours"), never an instruction of a child.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>

enum {
        PRIVOP_E_GONE = 1,  /* no such file, or the person may not reach it */
        PRIVOP_E_SYMLINK,   /* a symlink below a directory that a VM may write */
        PRIVOP_E_KIND,      /* neither regular file nor directory; or not the one that is needed */
        PRIVOP_E_READ,      /* the person cannot read it */
        PRIVOP_E_COVERED,   /* where the daemons of the VM see nothing, or something else */
        PRIVOP_E_USERNS,    /* the kernel does not let us make a namespace; errno says how */
        PRIVOP_E_SOCKETS,   /* there are so many files that some sockets stay to be seen */
        PRIVOP_E_PROGRAM,   /* the program to start is missing or cannot be executed */
};

/* --- starting programs ------------------------------------------------------------------------- */

#define PRIVOP_MAX_FDS      4
#define PRIVOP_MAX_VIEW     4
#define PRIVOP_N_NAMESPACES 4 /* of the documents namespace: user, mount, network, ipc */

/* The bit of capability c (CAP_*) in a set. */
#define PRIVOP_CAPABILITY(c) (UINT64_C(1) << (c))

/* All -1: none. */
struct privop_namespaces {
        int fds[PRIVOP_N_NAMESPACES];
        int root; /* O_PATH: what "/" is in there */
};

#define PRIVOP_NAMESPACES_NONE ((struct privop_namespaces){{-1, -1, -1, -1}, -1})

void privop_namespaces_close(struct privop_namespaces *ns);

struct rlimit;
struct sandbox_profile;

struct privop_spawn {
        const char *path;
        const char *const *argv;
        const char *const *envp;
        const int *fds; /* become 3, 4, ... of the program; nothing else stays open */
        unsigned n_fds;
        int log_fd;             /* becomes 1 and 2; 0 is /dev/null */
        bool apart;             /* in new namespaces of its own, of every kind that there is */
        const struct privop_namespaces *join; /* before the exec; NULL: stay here */
        uint64_t capabilities;  /* of those namespaces, kept over the exec; no other can be had */
        const struct sandbox_profile *profile; /* of a program that has none itself; NULL: none */
        unsigned waived;        /* of its layers */
        const struct rlimit *files; /* its RLIMIT_NOFILE; NULL: ours */
};

/*
 * Starts a program that dies with us (PDEATHSIG).  On success the caller owns *ret_pidfd.
 * PRIVOP_E_PROGRAM or PRIVOP_E_USERNS with errno set, or a negative errno.
 */
int privop_spawn(const struct privop_spawn *s, pid_t *ret_pid, int *ret_pidfd);

/*
 * What the documents namespace does not show: the sockets of the person's session, by which
 * whoever took a daemon over could ask other programs of the person for anything.
 */
struct privop_view {
        const char *runtime_dir; /* the person's: all of it, but keep[]; NULL: there is none */
        const char *home;        /* NULL: not known */
        const char *keep[PRIVOP_MAX_VIEW]; /* directories where nothing is covered */
        const char *hide[PRIVOP_MAX_VIEW]; /* sockets, and directories of some, wherever they are */
        unsigned n_keep, n_hide;           /* all paths are absolute */
};

/*
 * Covers them, in a mount namespace of our own, and those that are found below /run and /tmp, and
 * where ssh and gpg have theirs.
 * Files stay as they are: people pick them.  0, PRIVOP_E_SOCKETS, or a negative errno.
 */
int privop_cover(const struct privop_view *view);

/*
 * A user, mount, network and ipc namespace for the document portal's daemons, our uid and gid
 * mapped to themselves, all mounts slaves of ours: its FUSE mount is seen nowhere else and ends
 * with it, and what is mounted outside later is seen in there.  No network: nor has an abstract
 * socket of outside a name there.  The caller closes ns, also after a failure.
 * PRIVOP_E_SOCKETS (all is made), PRIVOP_E_USERNS with errno set, or a negative errno.
 */
int privop_new_documents_namespace(const struct privop_view *view, struct privop_namespaces *ns);

/*
 * A process that connects fd, a socket, to sa and then does nothing until *ret_hold, the caller's,
 * is closed: who listens there learns its pid as that of the peer (SO_PEERCRED), not ours.  It
 * holds no other descriptor, takes no signal, and dies with us.
 */
int privop_connect_apart(int fd, const struct sockaddr *sa, socklen_t n, pid_t *ret_pid,
                         int *ret_pidfd, int *ret_hold);

/* --- the person's files ------------------------------------------------------------------------ */

/* Directories some VM of this person may write into: a path through one follows no symlink. */
struct privop_roots {
        struct privop_root {
                dev_t dev;
                ino_t ino;
        } *v;
        size_t n;
};

struct privop_file {
        int fd;     /* O_PATH; of the file, or of the parent directory of name */
        char *path; /* what was really opened: /proc/self/fd's word for it */
        char *name; /* the name in the parent directory; NULL for privop_open_picked() */
        bool is_directory;
        bool inside;   /* a directory that a VM may write; for privop_open_picked() */
        bool exists;   /* name does */
        bool writable; /* by the person, and through the document portal */
        bool foreign;  /* the person could write it, but the namespace does not map its owner or group;
                          with writable: a new name, which can be made but not opened again to write */
};

void privop_file_done(struct privop_file *f);

/* A file or a directory that the person picked. */
int privop_open_picked(const char *path, const struct privop_roots *roots, struct privop_file *ret);

/* A name, there or not, in a directory; that the person picked to save to. */
int privop_open_parent(const char *path, const struct privop_roots *roots, struct privop_file *ret);

/*
 * f's descriptor, opened anew below root, as the daemons see it.  Ours is of our own mounts: who has a
 * directory there walks up from it, past all that is covered for the daemons.  0, PRIVOP_E_COVERED, or a
 * negative errno.
 */
int privop_move_to_view(int root, struct privop_file *f);

/* 0 if directory/relative is there and no symlink leads to it; else PRIVOP_E_*. */
int privop_check_beneath(const char *directory, const char *relative);
