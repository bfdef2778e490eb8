/* SPDX-License-Identifier: MIT */
/*
 * Object paths of portal requests, on the VM bus and on the gate.  PURE.
 *
 * xdg-desktop-portal documentation, org.freedesktop.portal.Request: clients predict
 * the path of their request from their unique name and the token they chose, and
 * listen there before they call; so what we answer must be exactly that path.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What a client that gives no handle_token gets. */
#define HANDLE_DEFAULT_TOKEN "t"

/* A handle_token: [A-Za-z0-9_]+, at most LIMIT_TOKEN_BYTES. */
bool handle_token_is_valid(const char *token);

/* A unique name (":1.42") whose characters can stand in an object path once '.' is '_'. */
bool handle_sender_is_valid(const char *sender);

/*
 * PORTAL_REQUEST_PATH "/SENDER/TOKEN", with "/<suffix>" when suffix is not 0.  sender and
 * token must be valid.  A new string, or NULL when memory is out.
 */
char *handle_path(const char *sender, const char *token, uint32_t suffix);

/* A handle the gate may issue: PORTAL_GATE_REQUEST_PATH "/<token>", a valid token. */
bool handle_is_gate(const char *path);
