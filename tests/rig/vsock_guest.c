/* SPDX-License-Identifier: MIT */
/*
 * A virtual machine that is nothing but its vsock device: it drives /dev/vhost-vsock as a
 * VMM does, and speaks the packets of a guest's kernel.  What connects to its unix socket is
 * carried as a stream from CID to port PORT of the host.
 *
 *   vsock_guest --cid CID --port PORT --listen PATH [--first-port PORT]
 *
 * It ends, as a VM that is killed, at the end of its standard input.  Lines there:
 *
 *   restart         the guest reboots: a reset of the device; all streams are gone, and the host
 *                   is told nothing
 *   rewind          all streams are gone in the same way; source ports start anew
 *   restore         the host knows none of our streams: each goes on with another source port
 *   send OP PORT    one packet without payload, from that source port
 *
 * It prints "ready", what it did of each command, and "stray OP PORT": a packet for a source
 * port that no stream has (it is answered by RST, as a kernel does).
 *
 * Virtual I/O Device 1.2, sections 2.7 (split virtqueues) and 5.10 (socket device).
 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/vhost.h>
#include <linux/virtio_ring.h>
#include <linux/virtio_vsock.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "common/cleanup.h"

#define HOST_CID      2u
#define RING_SIZE     256u /* packets on their way, each direction */
#define RING_BYTES    16384u
#define PACKET_BYTES  16384u /* of one packet, with its header */
#define STREAM_BYTES  65536u /* from the host, that a client has not read */
#define STREAMS_MAX   700u
#define CONNECT_SECONDS 2 /* a Linux guest's own value */
#define CONTROL_SPACE 64u /* packets kept free for what is not payload */
#define HEADER_BYTES  sizeof(struct virtio_vsock_hdr)

enum ring_name { RX, TX, N_RINGS };

struct ring {
        struct vring vring;
        uint8_t *packets; /* RING_SIZE of PACKET_BYTES, one for each descriptor */
        uint16_t n_avail, n_used;
        int kick, call;
};

struct stream {
        int client;
        uint32_t port;
        bool open;             /* the host said RESPONSE */
        time_t deadline;       /* for that */
        bool client_ended;     /* and the host was told */
        uint32_t host_flags;   /* of its SHUTDOWN */
        uint32_t room, taken;  /* the host's last buf_alloc and fwd_cnt */
        uint32_t sent;         /* payload, to the host */
        uint32_t passed, told; /* payload, to the client; of that, what the host knows */
        size_t n_held;         /* from the host, for the client */
        uint8_t held[STREAM_BYTES];
};

struct machine {
        uint32_t cid, host_port, first_port, next_port;
        int device, listener;
        uint8_t *memory;
        struct ring rings[N_RINGS];
        struct stream *streams[STREAMS_MAX];
        size_t n_streams;
};

static const char *const op_names[] = {
        [VIRTIO_VSOCK_OP_REQUEST] = "REQUEST",
        [VIRTIO_VSOCK_OP_RESPONSE] = "RESPONSE",
        [VIRTIO_VSOCK_OP_RST] = "RST",
        [VIRTIO_VSOCK_OP_SHUTDOWN] = "SHUTDOWN",
        [VIRTIO_VSOCK_OP_RW] = "RW",
        [VIRTIO_VSOCK_OP_CREDIT_UPDATE] = "CREDIT_UPDATE",
        [VIRTIO_VSOCK_OP_CREDIT_REQUEST] = "CREDIT_REQUEST",
};

static _noreturn_ void die(const char *what) {
        fprintf(stderr, "vsock_guest: %s: %s\n", what, strerror(errno));
        exit(EXIT_FAILURE);
}

static int check(int r, const char *what) {
        if (r < 0)
                die(what);
        return r;
}

/* --- the device ------------------------------------------------------------------------------ */

/* Addresses of the guest are ours: one region, mapped to itself. */
static void share_memory(struct machine *m) {
        size_t size = N_RINGS * (RING_BYTES + RING_SIZE * PACKET_BYTES);
        _cleanup_free_ struct vhost_memory *table =
                calloc(1, sizeof(*table) + sizeof(table->regions[0]));

        assert(table);
        table->nregions = 1;
        m->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (m->memory == MAP_FAILED)
                die("mmap");
        table->regions[0].guest_phys_addr = table->regions[0].userspace_addr = (uintptr_t)m->memory;
        table->regions[0].memory_size = size;
        check(ioctl(m->device, VHOST_SET_MEM_TABLE, table), "VHOST_SET_MEM_TABLE");
}

static void ring_give(struct ring *r, unsigned slot, uint32_t n, uint16_t flags) {
        r->vring.desc[slot] = (struct vring_desc){
                .addr = htole64((uintptr_t)(r->packets + slot * PACKET_BYTES)),
                .len = htole32(n),
                .flags = htole16(flags),
        };
        r->vring.avail->ring[r->n_avail++ % RING_SIZE] = htole16((uint16_t)slot);
        __atomic_store_n(&r->vring.avail->idx, htole16(r->n_avail), __ATOMIC_RELEASE);
}

static void ring_kick(const struct ring *r) {
        check(eventfd_write(r->kick, 1), "kick");
}

static uint16_t ring_used(const struct ring *r) {
        return le16toh(__atomic_load_n(&r->vring.used->idx, __ATOMIC_ACQUIRE));
}

/* The device takes its rings while it does not run. */
static void ring_start(struct machine *m, unsigned i) {
        struct ring *r = &m->rings[i];
        uint8_t *at = m->memory + i * RING_BYTES;
        struct vhost_vring_state size = {i, RING_SIZE}, base = {i, 0};
        struct vhost_vring_file kick = {i, r->kick}, call = {i, r->call};
        struct vhost_vring_addr addresses = {.index = i};

        memset(at, 0, RING_BYTES);
        vring_init(&r->vring, RING_SIZE, at, 4096);
        assert(vring_size(RING_SIZE, 4096) <= RING_BYTES);
        r->packets = m->memory + N_RINGS * RING_BYTES + i * RING_SIZE * PACKET_BYTES;
        r->n_avail = r->n_used = 0;
        addresses.desc_user_addr = (uintptr_t)r->vring.desc;
        addresses.avail_user_addr = (uintptr_t)r->vring.avail;
        addresses.used_user_addr = (uintptr_t)r->vring.used;
        check(ioctl(m->device, VHOST_SET_VRING_NUM, &size), "VHOST_SET_VRING_NUM");
        check(ioctl(m->device, VHOST_SET_VRING_BASE, &base), "VHOST_SET_VRING_BASE");
        check(ioctl(m->device, VHOST_SET_VRING_ADDR, &addresses), "VHOST_SET_VRING_ADDR");
        check(ioctl(m->device, VHOST_SET_VRING_KICK, &kick), "VHOST_SET_VRING_KICK");
        check(ioctl(m->device, VHOST_SET_VRING_CALL, &call), "VHOST_SET_VRING_CALL");
}

static void device_start(struct machine *m) {
        int run = 1;

        for (unsigned i = 0; i < N_RINGS; i++)
                ring_start(m, i);
        for (unsigned slot = 0; slot < RING_SIZE; slot++)
                ring_give(&m->rings[RX], slot, PACKET_BYTES, VRING_DESC_F_WRITE);
        check(ioctl(m->device, VHOST_VSOCK_SET_RUNNING, &run), "VHOST_VSOCK_SET_RUNNING");
        ring_kick(&m->rings[RX]);
}

static void device_stop(struct machine *m) {
        int run = 0;

        check(ioctl(m->device, VHOST_VSOCK_SET_RUNNING, &run), "VHOST_VSOCK_SET_RUNNING");
}

static void device_open(struct machine *m) {
        uint64_t features = UINT64_C(1) << VIRTIO_F_VERSION_1, cid = m->cid;

        m->device = check(open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC), "/dev/vhost-vsock");
        check(ioctl(m->device, VHOST_SET_OWNER), "VHOST_SET_OWNER");
        check(ioctl(m->device, VHOST_SET_FEATURES, &features), "VHOST_SET_FEATURES");
        check(ioctl(m->device, VHOST_VSOCK_SET_GUEST_CID, &cid), "this CID");
        share_memory(m);
        for (unsigned i = 0; i < N_RINGS; i++) {
                m->rings[i].kick = check(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
                m->rings[i].call = check(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
        }
        device_start(m);
}

/* --- packets to the host --------------------------------------------------------------------- */

static unsigned tx_free(struct ring *tx) {
        return RING_SIZE - (uint16_t)(tx->n_avail - ring_used(tx));
}

/* The device gives the packets back in their order, so the next slot is the oldest. */
static uint8_t *packet_slot(struct machine *m) {
        struct ring *tx = &m->rings[TX];
        struct pollfd given_back = {tx->call, POLLIN, 0};
        eventfd_t count;

        while (tx_free(tx) == 0) {
                ring_kick(&m->rings[RX]); /* it may wait for room for its answers */
                if (check(poll(&given_back, 1, 10000), "poll") == 0) {
                        errno = ETIMEDOUT;
                        die("the device takes no packets");
                }
                (void)eventfd_read(tx->call, &count);
        }
        return tx->packets + (tx->n_avail % RING_SIZE) * PACKET_BYTES;
}

/* n bytes of payload lie behind the header already. */
static void packet_send(struct machine *m, uint8_t *slot, uint16_t op, uint32_t port, size_t n,
                        uint32_t flags, uint32_t passed) {
        struct virtio_vsock_hdr h = {
                .src_cid = htole64(m->cid),
                .dst_cid = htole64(HOST_CID),
                .src_port = htole32(port),
                .dst_port = htole32(m->host_port),
                .len = htole32((uint32_t)n),
                .type = htole16(VIRTIO_VSOCK_TYPE_STREAM),
                .op = htole16(op),
                .flags = htole32(flags),
                .buf_alloc = htole32(STREAM_BYTES),
                .fwd_cnt = htole32(passed),
        };
        struct ring *tx = &m->rings[TX];

        memcpy(slot, &h, sizeof(h));
        ring_give(tx, tx->n_avail % RING_SIZE, (uint32_t)(sizeof(h) + n), 0);
        ring_kick(tx);
}

static void say(struct machine *m, uint16_t op, uint32_t port) {
        packet_send(m, packet_slot(m), op, port, 0, 0, 0);
}

static void stream_say(struct machine *m, struct stream *s, uint16_t op, uint32_t flags) {
        packet_send(m, packet_slot(m), op, s->port, 0, flags, s->passed);
        s->told = s->passed;
}

/* --- streams --------------------------------------------------------------------------------- */

static void stream_new(struct machine *m) {
        int client = accept4(m->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct stream *s;

        check(client, "accept");
        if (m->n_streams == STREAMS_MAX) {
                (void)close(client);
                return;
        }
        s = calloc(1, sizeof(*s));
        assert(s);
        s->client = client;
        s->port = m->next_port++;
        s->deadline = time(NULL) + CONNECT_SECONDS;
        m->streams[m->n_streams++] = s;
        stream_say(m, s, VIRTIO_VSOCK_OP_REQUEST, 0);
}

/* Whoever walks over the streams does so from the last. */
static void stream_free(struct machine *m, struct stream *s) {
        for (size_t i = 0; i < m->n_streams; i++)
                if (m->streams[i] == s)
                        m->streams[i] = m->streams[--m->n_streams];
        (void)close(s->client);
        free(s);
}

static struct stream *stream_find(struct machine *m, uint32_t port) {
        for (size_t i = 0; i < m->n_streams; i++)
                if (m->streams[i]->port == port)
                        return m->streams[i];
        return NULL;
}

static uint32_t stream_credit(const struct stream *s) {
        return s->room - (s->sent - s->taken);
}

/* What the host sent goes to the client.  Whether the stream is still there. */
static bool stream_flush(struct machine *m, struct stream *s) {
        ssize_t n = s->n_held ? send(s->client, s->held, s->n_held, MSG_NOSIGNAL) : 0;

        if (n < 0 && errno != EAGAIN)
                n = (ssize_t)s->n_held; /* nobody reads it: its end is seen by poll() */
        if (n > 0) {
                s->n_held -= (size_t)n;
                s->passed += (uint32_t)n;
                memmove(s->held, s->held + n, s->n_held);
        }
        if (s->passed - s->told > STREAM_BYTES / 2)
                stream_say(m, s, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0);
        if (s->n_held > 0 || !(s->host_flags & VIRTIO_VSOCK_SHUTDOWN_SEND))
                return true;
        if (s->host_flags & VIRTIO_VSOCK_SHUTDOWN_RCV) {
                stream_say(m, s, VIRTIO_VSOCK_OP_RST, 0);
                stream_free(m, s);
                return false;
        }
        (void)shutdown(s->client, SHUT_WR);
        return true;
}

static void stream_end(struct machine *m, struct stream *s) {
        stream_say(m, s, VIRTIO_VSOCK_OP_SHUTDOWN,
                   VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND);
        stream_free(m, s);
}

/* The client said something, or ended. */
static void stream_read(struct machine *m, struct stream *s, bool hung_up) {
        size_t most = PACKET_BYTES - HEADER_BYTES;
        uint8_t *slot = packet_slot(m);
        ssize_t n;

        if (most > stream_credit(s))
                most = stream_credit(s);
        n = recv(s->client, slot + HEADER_BYTES, most, 0);
        if (n > 0) {
                s->sent += (uint32_t)n;
                packet_send(m, slot, VIRTIO_VSOCK_OP_RW, s->port, (size_t)n, 0, s->passed);
                s->told = s->passed;
        } else if (n == 0 && !hung_up) {
                s->client_ended = true;
                stream_say(m, s, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND);
        } else if (n == 0 || errno != EAGAIN) {
                stream_end(m, s);
        }
}

static bool stream_may_send(struct machine *m, const struct stream *s) {
        return s->open && !s->client_ended && !(s->host_flags & VIRTIO_VSOCK_SHUTDOWN_RCV) &&
               stream_credit(s) > 0 && tx_free(&m->rings[TX]) > CONTROL_SPACE;
}

/* A client that has hung up is heard of without being asked. */
static struct pollfd stream_wants(struct machine *m, const struct stream *s) {
        short events = (short)((stream_may_send(m, s) ? POLLIN : 0) | (s->n_held ? POLLOUT : 0));

        return (struct pollfd){events || s->client_ended || !s->open ? s->client : -1, events, 0};
}

/* A host that does not answer at all, as when it knows the stream already. */
static void stream_expire(struct machine *m) {
        for (size_t i = m->n_streams; i-- > 0;)
                if (!m->streams[i]->open && m->streams[i]->deadline < time(NULL))
                        stream_free(m, m->streams[i]);
}

static void stream_work(struct machine *m, struct stream *s, const struct pollfd *p) {
        bool hung_up = p->revents & (POLLHUP | POLLERR);

        if (!s->open) {
                stream_free(m, s);
                return;
        }
        if ((p->revents & POLLOUT) && !stream_flush(m, s))
                return;
        if ((p->events & POLLIN) && stream_may_send(m, s))
                stream_read(m, s, hung_up);
        else if (hung_up && s->client_ended)
                stream_end(m, s);
}

/* --- packets from the host ------------------------------------------------------------------- */

static void on_stray(struct machine *m, uint16_t op, uint32_t port) {
        printf("stray %s %u\n", op < ELEMENTSOF(op_names) ? op_names[op] : "?", port);
        if (op != VIRTIO_VSOCK_OP_RST)
                say(m, VIRTIO_VSOCK_OP_RST, port);
}

static void on_payload(struct machine *m, struct stream *s, const uint8_t *data, size_t n) {
        assert(n <= STREAM_BYTES - s->n_held); /* the host has no more credit */
        memcpy(s->held + s->n_held, data, n);
        s->n_held += n;
        (void)stream_flush(m, s);
}

static void on_packet(struct machine *m, const struct virtio_vsock_hdr *h, const uint8_t *data) {
        uint16_t op = le16toh(h->op);
        struct stream *s = stream_find(m, le32toh(h->dst_port));

        if (!s) {
                on_stray(m, op, le32toh(h->dst_port));
                return;
        }
        s->room = le32toh(h->buf_alloc);
        s->taken = le32toh(h->fwd_cnt);
        if (!s->open && op != VIRTIO_VSOCK_OP_RESPONSE) {
                if (op != VIRTIO_VSOCK_OP_RST)
                        stream_say(m, s, VIRTIO_VSOCK_OP_RST, 0);
                stream_free(m, s);
        } else if (op == VIRTIO_VSOCK_OP_RST) {
                stream_free(m, s);
        } else if (op == VIRTIO_VSOCK_OP_RESPONSE) {
                s->open = true;
        } else if (op == VIRTIO_VSOCK_OP_RW) {
                on_payload(m, s, data, le32toh(h->len));
        } else if (op == VIRTIO_VSOCK_OP_SHUTDOWN) {
                s->host_flags |= le32toh(h->flags);
                (void)stream_flush(m, s);
        } else if (op == VIRTIO_VSOCK_OP_CREDIT_REQUEST) {
                stream_say(m, s, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0);
        }
}

static void rx_work(struct machine *m) {
        struct ring *rx = &m->rings[RX];
        eventfd_t count;

        (void)eventfd_read(rx->call, &count);
        while (rx->n_used != ring_used(rx)) {
                uint32_t slot = le32toh(rx->vring.used->ring[rx->n_used++ % RING_SIZE].id);
                uint8_t *packet = rx->packets + slot * PACKET_BYTES;
                struct virtio_vsock_hdr h;

                memcpy(&h, packet, sizeof(h));
                on_packet(m, &h, packet + sizeof(h));
                ring_give(rx, slot, PACKET_BYTES, VRING_DESC_F_WRITE);
        }
        ring_kick(rx);
}

/* --- commands -------------------------------------------------------------------------------- */

static void forget(struct machine *m) {
        printf("forgot %zu\n", m->n_streams);
        while (m->n_streams > 0)
                stream_free(m, m->streams[0]);
}

static void restart(struct machine *m, _unused_ const char *arguments) {
        device_stop(m);
        forget(m);
        device_start(m);
}

static void rewind_ports(struct machine *m, _unused_ const char *arguments) {
        forget(m);
        m->next_port = m->first_port;
}

static void restore(struct machine *m, _unused_ const char *arguments) {
        for (size_t i = 0; i < m->n_streams; i++)
                m->streams[i]->port += 1000000;
        printf("restored %zu\n", m->n_streams);
}

static void send_packet(struct machine *m, const char *arguments) {
        char name[32];
        unsigned port;

        if (sscanf(arguments, "%31s %u", name, &port) != 2)
                return;
        for (uint16_t op = 1; op < ELEMENTSOF(op_names); op++)
                if (strcmp(name, op_names[op]) == 0)
                        say(m, op, port);
        printf("sent %s %u\n", name, port);
}

static const struct {
        const char *name;
        void (*run)(struct machine *m, const char *arguments);
} commands[] = {
        {"restart", restart},
        {"rewind", rewind_ports},
        {"restore", restore},
        {"send", send_packet},
};

/* A line comes in one piece: the test writes it so.  Whether there was one. */
static bool command_read(struct machine *m) {
        char line[128];
        ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);
        size_t n_name;

        if (n <= 0)
                return false;
        line[n] = '\0';
        n_name = strcspn(line, " \n");
        for (size_t i = 0; i < ELEMENTSOF(commands); i++)
                if (strlen(commands[i].name) == n_name &&
                    strncmp(line, commands[i].name, n_name) == 0)
                        commands[i].run(m, line + n_name);
        return true;
}

/* --- the machine ----------------------------------------------------------------------------- */

static void listen_at(struct machine *m, const char *path) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};

        (void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
        m->listener = check(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
        check(bind(m->listener, (struct sockaddr *)&sa, sizeof(sa)), path);
        check(listen(m->listener, SOMAXCONN), path);
}

static uint32_t number(const char *text) {
        return (uint32_t)strtoul(text, NULL, 10);
}

static void configure(struct machine *m, int argc, char **argv) {
        static const struct option options[] = {
                {"cid", required_argument, NULL, 'c'},
                {"port", required_argument, NULL, 'p'},
                {"listen", required_argument, NULL, 'l'},
                {"first-port", required_argument, NULL, 'f'},
                {0},
        };
        const char *values['p' + 1] = {['f'] = "1024"};
        int o;

        while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
                if (o == '?')
                        exit(EXIT_FAILURE);
                values[o] = optarg;
        }
        if (!values['c'] || !values['p'] || !values['l']) {
                fputs("vsock_guest: --cid, --port and --listen are needed\n", stderr);
                exit(EXIT_FAILURE);
        }
        m->cid = number(values['c']);
        m->host_port = number(values['p']);
        m->first_port = m->next_port = number(values['f']);
        listen_at(m, values['l']);
}

/* One turn.  Whether there is to be another. */
static bool turn(struct machine *m) {
        enum { STDIN, LISTENER, RX_CALL, TX_CALL, STREAMS };
        struct pollfd fds[STREAMS + STREAMS_MAX] = {
                [STDIN] = {STDIN_FILENO, POLLIN, 0},
                [LISTENER] = {m->listener, POLLIN, 0},
                [RX_CALL] = {m->rings[RX].call, POLLIN, 0},
                [TX_CALL] = {m->rings[TX].call, POLLIN, 0},
        };
        size_t n = m->n_streams;
        eventfd_t count;

        for (size_t i = 0; i < n; i++)
                fds[STREAMS + i] = stream_wants(m, m->streams[i]);
        check(poll(fds, STREAMS + n, 500), "poll");
        (void)eventfd_read(m->rings[TX].call, &count);
        for (size_t i = n; i-- > 0;)
                if (fds[STREAMS + i].revents && m->streams[i]->client == fds[STREAMS + i].fd)
                        stream_work(m, m->streams[i], &fds[STREAMS + i]);
        if (fds[RX_CALL].revents)
                rx_work(m);
        if (fds[LISTENER].revents)
                stream_new(m);
        stream_expire(m);
        return !fds[STDIN].revents || command_read(m);
}

int main(int argc, char **argv) {
        static struct machine m;

        (void)setvbuf(stdout, NULL, _IOLBF, 0);
        (void)signal(SIGPIPE, SIG_IGN);
        configure(&m, argc, argv);
        device_open(&m);
        puts("ready");
        while (turn(&m))
                ;
        return EXIT_SUCCESS;
}
