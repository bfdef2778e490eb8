/* SPDX-License-Identifier: MIT */
/*
 * SANITIZED: this build has the sanitizers' run-time, which reads /proc, starts a process to look
 * for leaks, and maps terabytes.  Decided when it is compiled; nothing loosens a release build.
 */
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
