/* SPDX-License-Identifier: MIT */
/*
 * One answer's file URIs made into documents of the VM.
 *
 * The person picked these files in a dialog; here it is decided what the guest gets of
 * them: whether at all, and read or write.  Each file stands alone: what is refused is
 * logged with its reason and left out.
 */
#pragma once

#include "common/cleanup.h"
#include "common/portal_table.h"
#include "sbsupervisor/documents.h"

struct export;

/* Called once, never from within export_start(). */
typedef void (*export_done_t)(void *userdata);

/* What the dialog was for: anything else that comes is refused. */
enum export_wants {
        EXPORT_FILES,
        EXPORT_DIRECTORIES,
        EXPORT_EITHER,
};

/*
 * Starts on uris (borrowed as long as the export lives; n at most LIMIT_URIS).  On success *ret is
 * owned, and done is called when every URI is decided, unless export_free() comes first.
 */
int export_start(struct documents *d, enum portal_export kind, enum export_wants wants,
                 const char *const *uris, size_t n, export_done_t done, void *userdata,
                 struct export **ret);

/* "doc:<id>/<escaped name>" of the k-th URI, or NULL when it was refused. */
const char *export_result(const struct export *e, size_t k);

struct export *export_free(struct export *e);
DEFINE_CLEANUP(struct export *, export_free);
