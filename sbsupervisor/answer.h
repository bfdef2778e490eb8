/* SPDX-License-Identifier: MIT */
/*
 * The host's answer, to a request or to a plain call, as sbportal may have it: files among it
 * become documents of the VM first.
 */
#pragma once

#include "sbsupervisor/request.h"

/* r->response is there, and the call is answered: a Response. */
int answer_response(struct request *r);
/* r->response is there: the reply to a plain call. */
int answer_call(struct request *r);
/* Response(2, {}): "the interaction was ended in some other way"; frees r. */
int answer_ended(struct request *r);
