/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/child_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"

/* "<N>text" as our own programs write it; others' lines are information. */
static int split_priority(const char *line, const char **ret_text) {
        if (line[0] == '<' && line[1] >= '0' && line[1] <= '7' && line[2] == '>') {
                int priority = line[1] - '0';

                *ret_text = line + 3;
                return priority < LOG_ERR ? LOG_ERR : priority; /* emergencies are not a child's to call */
        }
        *ret_text = line;
        return LOG_INFO;
}

static void file_line(struct child_log *l, char *line, size_t n) {
        char shown[LIMIT_LOG_LINE_BYTES];
        unsigned dropped;
        const char *text;
        int priority, take;

        line[n] = '\0';
        if (n == 0)
                return;
        priority = split_priority(line, &text);
        if (priority > log_level())
                return;
        take = log_budget_take_now(&l->budget, &dropped);
        if (dropped > 0) {
                (void)snprintf(shown, sizeof(shown), "%u lines of this process were not logged", dropped);
                journal_line(l->process, LOG_WARNING, shown);
        }
        if (take)
                journal_line(l->process, priority,
                             escape_log(shown, sizeof(shown), text, strlen(text)));
}

static void file_lines(struct child_log *l) {
        char *start = l->line, *end;

        while ((end = memchr(start, '\n', l->n))) {
                size_t k = (size_t)(end - start);

                file_line(l, start, k);
                start = end + 1;
                l->n -= k + 1;
        }
        memmove(l->line, start, l->n);
        if (l->n == sizeof(l->line) - 1) { /* longer than a line: what there is of it */
                file_line(l, l->line, l->n);
                l->n = 0;
        }
}

/* One read; its result. */
static ssize_t read_some(struct child_log *l, int fd) {
        ssize_t n = read(fd, l->line + l->n, sizeof(l->line) - 1 - l->n);

        if (n > 0) {
                l->n += (size_t)n;
                file_lines(l);
        }
        return n;
}

static int on_readable(sd_event_source *s, int fd, uint32_t events _unused_, void *userdata) {
        ssize_t n = read_some(userdata, fd);

        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                (void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
        return 0;
}

int child_log_open(struct child_log *l, sd_event *event, const char *process, int *ret_fd) {
        _cleanup_close_ int read_end = -1, write_end = -1;
        int p[2], r;

        *l = (struct child_log){.process = process};
        if (pipe2(p, O_CLOEXEC) < 0)
                return -errno;
        read_end = p[0];
        write_end = p[1];
        if (fcntl(read_end, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        r = sd_event_add_io(event, &l->source, read_end, EPOLLIN, on_readable, l);
        if (r < 0)
                return r;
        (void)sd_event_source_set_io_fd_own(l->source, true);
        read_end = -1;
        /* Logs wait for everything else: a child that writes without end delays nobody. */
        (void)sd_event_source_set_priority(l->source, SD_EVENT_PRIORITY_IDLE);
        *ret_fd = TAKE_FD(write_end);
        return 0;
}

void child_log_close(struct child_log *l) {
        if (!l->source)
                return;
        for (unsigned i = 0; i < 64; i++) /* bounded: it may be writing still */
                if (read_some(l, sd_event_source_get_io_fd(l->source)) <= 0)
                        break;
        if (l->n > 0)
                file_line(l, l->line, l->n);
        l->source = sd_event_source_disable_unref(l->source);
        l->n = 0;
}
