/* SPDX-License-Identifier: MIT */
/*
 * A value, written so that another program's syntax takes it for exactly that value.  PURE.
 */
#pragma once

enum quote {
        QUOTE_SHELL,   /* one word of sh(1) */
        QUOTE_COMMA,   /* a value in QEMU's "key=value,key=value": a comma is doubled */
        QUOTE_BRACKET, /* the same in Cloud Hypervisor's: "a,b"; a '"' cannot be said */
        QUOTE_KEYVAL,  /* the same in crosvm's: "a,b", with \" and \\ */
        QUOTE_XML,     /* text, or an attribute's value between either kind of quotes */
        QUOTE_STRING,  /* what stands between the quotes of a string in JSON and in C */
        QUOTE_UNIT,    /* what stands between double quotes in a systemd unit: no specifiers */
        QUOTE_N
};

/* A new string; NULL when memory is out.  text has no control characters. */
char *quote_text(enum quote how, const char *text);
