/* SPDX-License-Identifier: MIT */
#include "common/portal_members.h"

/* A row says what is not zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* clang-format off */

const struct portal_value portal_button[] = {
        {"label", "s", PORTAL_TEXT},
        {"action", "s", PORTAL_ACTION},
        {"target", "v", PORTAL_ANY},
        {"purpose", "s", PORTAL_PLAIN, .since = 2},
        {0},
};

const struct portal_value portal_print_settings[] = {
        {"orientation", "s", PORTAL_PLAIN},
        {"paper-format", "s", PORTAL_PLAIN},
        {"paper-width", "s", PORTAL_PLAIN},
        {"paper-height", "s", PORTAL_PLAIN},
        {"n-copies", "s", PORTAL_PLAIN},
        {"default-source", "s", PORTAL_PLAIN},
        {"quality", "s", PORTAL_PLAIN},
        {"resolution", "s", PORTAL_PLAIN},
        {"use-color", "s", PORTAL_PLAIN},
        {"duplex", "s", PORTAL_PLAIN},
        {"collate", "s", PORTAL_PLAIN},
        {"reverse", "s", PORTAL_PLAIN},
        {"media-type", "s", PORTAL_PLAIN},
        {"dither", "s", PORTAL_PLAIN},
        {"scale", "s", PORTAL_PLAIN},
        {"print-pages", "s", PORTAL_PLAIN},
        {"page-ranges", "s", PORTAL_PLAIN},
        {"page-set", "s", PORTAL_PLAIN},
        {"finishings", "s", PORTAL_PLAIN},
        {"number-up", "s", PORTAL_PLAIN},
        {"number-up-layout", "s", PORTAL_PLAIN},
        {"output-bin", "s", PORTAL_PLAIN},
        {"resolution-x", "s", PORTAL_PLAIN},
        {"resolution-y", "s", PORTAL_PLAIN},
        {"printer-lpi", "s", PORTAL_PLAIN},
        {"output-basename", "s", PORTAL_BASENAME},
        {"output-file-format", "s", PORTAL_PLAIN},
        /* A host path; the host's token of the dialog's outcome stands for it. */
        {"output-uri", "s", PORTAL_NEVER},
        {0},
};

const struct portal_value portal_page_setup[] = {
        {"PPDName", "s", PORTAL_TEXT},
        {"Name", "s", PORTAL_TEXT},
        {"DisplayName", "s", PORTAL_TEXT},
        {"Width", "d", PORTAL_PLAIN},
        {"Height", "d", PORTAL_PLAIN},
        {"MarginTop", "d", PORTAL_PLAIN},
        {"MarginBottom", "d", PORTAL_PLAIN},
        {"MarginLeft", "d", PORTAL_PLAIN},
        {"MarginRight", "d", PORTAL_PLAIN},
        {"Orientation", "s", PORTAL_PLAIN},
        {0},
};

const struct portal_value portal_shortcut[] = {
        {"description", "s", PORTAL_TEXT},
        {"preferred_trigger", "s", PORTAL_TEXT},
        {0},
};

const struct portal_value portal_bound_shortcut[] = {
        {"description", "s", PORTAL_PLAIN},
        {"trigger_description", "s", PORTAL_PLAIN},
        {0},
};
