/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/journal.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <systemd/sd-login.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"

/* Part of the log's state, like the level: every line of this process is about this VM. */
static const char *vm_name = "";
static bool to_journal;
static char *user_unit; /* or NULL */

/* JOURNAL_STREAM is inherited by what redirects stderr, too: the inode decides (systemd.exec(5)). */
static bool stderr_is_journal(void) {
        const char *e = getenv("JOURNAL_STREAM");
        unsigned long dev, ino;
        struct stat st;

        return e && sscanf(e, "%lu:%lu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
               st.st_dev == dev && st.st_ino == ino;
}

void journal_line(const char *process, int priority, const char *text) {
        char line[LIMIT_LOG_LINE_BYTES + 256];
        int n;

        if (priority > log_level())
                return;
        if (to_journal) {
                (void)sd_journal_send("MESSAGE=%s", text, "PRIORITY=%i", priority, "SIDEBUS_VM=%s",
                                      vm_name, "SIDEBUS_PROCESS=%s", process,
                                      "SYSLOG_IDENTIFIER=%s", process,
                                      user_unit ? "USER_UNIT=%s" : NULL, user_unit, NULL);
                return;
        }
        n = snprintf(line, sizeof(line), "%s[%s]: %s\n", process, vm_name, text);
        if (n > 0 && (size_t)n >= sizeof(line))
                n = sizeof(line) - 1;
        if (n > 0)
                (void)!write(STDERR_FILENO, line, (size_t)n);
}

static void own_line(int priority, const char *text) {
        journal_line("sbsupervisor", priority, text);
}

/*
 * The journal looks for the unit of a process that may have ended by then: what is said last, like
 * why it did not start, would be missing from "systemctl --user status".  So it is said here.  No
 * field says that of a system unit, but stderr does: what is wrong before there is a VM goes there.
 */
void journal_init(const char *vm) {
        vm_name = vm ?: "";
        to_journal = stderr_is_journal();
        if (to_journal && !user_unit)
                (void)sd_pid_get_user_unit(0, &user_unit);
        if (vm || user_unit)
                log_set_sink(own_line);
}

int log_budget_take(struct log_budget *b, uint64_t now, unsigned *ret_dropped) {
        *ret_dropped = 0;
        if (now != b->second) {
                *ret_dropped = b->dropped;
                *b = (struct log_budget){.second = now};
        }
        if (b->lines < LIMIT_LOG_LINES_SECOND) {
                b->lines++;
                return 1;
        }
        b->dropped++;
        return 0;
}

int log_budget_take_now(struct log_budget *b, unsigned *ret_dropped) {
        return log_budget_take(b, clock_usec() / 1000000, ret_dropped);
}

void log_limited(struct log_budget *b, int priority, const char *fmt, ...) {
        char text[LIMIT_LOG_LINE_BYTES];
        unsigned dropped;
        va_list ap;
        int take;

        if (priority > log_level())
                return;
        take = log_budget_take_now(b, &dropped);
        if (dropped > 0)
                log_warning("%u lines about this VM's requests were not logged", dropped);
        if (!take)
                return;
        va_start(ap, fmt);
        (void)vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        log_line(priority, "%s", text);
}
