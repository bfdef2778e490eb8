/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/file_limit.h"

#include <assert.h>
#include <errno.h>

#include "common/limits.h"
#include "common/log.h"

void file_limit_raise(struct rlimit *ret_before) {
        struct rlimit rl;
        int r = getrlimit(RLIMIT_NOFILE, &rl);

        assert(r == 0); /* what is started would get no descriptor at all */
        *ret_before = rl;
        if (rl.rlim_max < LIMIT_SUPERVISOR_FDS)
                log_warning("of %u descriptors that a guest may make sbsupervisor hold, there is room for "
                            "%llu, and the instance ends at the next one: set LimitNOFILE= of the unit, "
                            "or the hard limit (ulimit -Hn), to %u or more",
                            LIMIT_SUPERVISOR_FDS, (unsigned long long)rl.rlim_max,
                            LIMIT_SUPERVISOR_FDS);
        if (rl.rlim_cur >= LIMIT_SUPERVISOR_FDS)
                return;
        rl.rlim_cur = rl.rlim_max < LIMIT_SUPERVISOR_FDS ? rl.rlim_max : LIMIT_SUPERVISOR_FDS;
        if (setrlimit(RLIMIT_NOFILE, &rl) < 0)
                (void)log_warning_errno(errno, "cannot raise the limit of descriptors");
}
