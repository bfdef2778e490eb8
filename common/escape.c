/* SPDX-License-Identifier: MIT */
#include "common/escape.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"

static const char hex_lower[] = "0123456789abcdef";
static const char hex_upper[] = "0123456789ABCDEF";

/* Writes one byte's escaped form to out[4]; its length. */
static size_t escape_byte(char out[4], unsigned char c) {
        if (c == '\\') {
                out[0] = out[1] = '\\';
                return 2;
        }
        if (c >= 0x20 && c < 0x7f) {
                out[0] = (char)c;
                return 1;
        }
        out[0] = '\\';
        out[1] = 'x';
        out[2] = hex_lower[c >> 4];
        out[3] = hex_lower[c & 15];
        return 4;
}

char *escape_log(char *buf, size_t size, const void *text, size_t n) {
        const unsigned char *p = text;
        size_t o = 0, cut = 0; /* cut: the last boundary that leaves room for "..." */

        assert(size >= 4);
        for (size_t i = 0; i < n; i++) {
                char piece[4];
                size_t k = escape_byte(piece, p[i]);

                if (o <= size - 4)
                        cut = o;
                if (k >= size - o) {
                        memcpy(buf + cut, "...", 4);
                        return buf;
                }
                memcpy(buf + o, piece, k);
                o += k;
        }
        buf[o] = '\0';
        return buf;
}

/*
 * One character of s[0..n), n > 0: its length in bytes, or 0 when the bytes are
 * not well-formed UTF-8 (Unicode 15, table 3-7: no overlong form, no surrogate,
 * nothing above U+10FFFF).
 */
static size_t utf8_decode(const unsigned char *s, size_t n, uint32_t *ret) {
        static const struct {
                unsigned char mask, lead;
                uint32_t least;
        } forms[] = {
                {0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

        for (size_t k = 0; k < ELEMENTSOF(forms); k++) {
                uint32_t c;

                if ((s[0] & forms[k].mask) != forms[k].lead)
                        continue;
                if (n < k + 1)
                        return 0;
                c = s[0] & (unsigned char)~forms[k].mask;
                for (size_t i = 1; i <= k; i++) {
                        if ((s[i] & 0xc0) != 0x80)
                                return 0;
                        c = c << 6 | (s[i] & 0x3f);
                }
                if (c < forms[k].least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
                        return 0;
                *ret = c;
                return k + 1;
        }
        return 0;
}

/* Characters that change how their neighbours are shown, or that are not shown at all. */
static bool is_deceptive(uint32_t c) {
        static const struct {
                uint32_t first, last;
        } ranges[] = {
                {0x0000, 0x001f},   /* C0 */
                {0x007f, 0x009f},   /* DEL, C1 */
                {0x00ad, 0x00ad},   /* soft hyphen */
                {0x034f, 0x034f},   /* combining grapheme joiner */
                {0x061c, 0x061c},   /* Arabic letter mark */
                {0x115f, 0x1160},   /* Hangul fillers */
                {0x17b4, 0x17b5},   /* Khmer inherent vowels */
                {0x180b, 0x180f},   /* Mongolian selectors and separator */
                {0x200b, 0x200b},   /* zero width space; its joiners 200c and 200d are spelling */
                {0x200e, 0x200f},   /* left-to-right, right-to-left mark */
                {0x2028, 0x202e},   /* line, paragraph separator; embeddings and overrides */
                {0x2060, 0x206f},   /* word joiner, invisible operators; isolates; deprecated ones */
                {0x3164, 0x3164},   /* Hangul filler */
                {0xfeff, 0xfeff},   /* zero width no-break space; the selectors fe00 to fe0f are of emoji */
                {0xffa0, 0xffa0},   /* halfwidth Hangul filler */
                {0xfff0, 0xfffb},   /* unassigned; interlinear annotation */
                {0xe0000, 0xe0fff}, /* tags, a second, invisible ASCII; selectors */
        };

        for (size_t i = 0; i < ELEMENTSOF(ranges); i++)
                if (c >= ranges[i].first && c <= ranges[i].last)
                        return true;
        return false;
}

enum { LINES = 1, BYTES = 2 };

/* LINES: they end.  BYTES: what is no UTF-8 stays, but for C1 controls. */
static char *make_harmless(const char *in, size_t max, unsigned keep) {
        const unsigned char *p = (const unsigned char *)in;
        size_t left = strlen(in), o = 0;
        char *out = malloc((left < max ? left : max) + 1);

        if (!out)
                return NULL;
        while (left > 0) {
                uint32_t c = 0;
                size_t k = utf8_decode(p, left, &c);
                size_t step = k ? k : 1;
                bool stays = k ? keep & LINES && c == '\n' : keep & BYTES && *p >= 0xa0;

                if (c == '\t' || (c == '\n' && !(keep & LINES)))
                        c = ' ';
                if (stays || (k && !is_deceptive(c))) {
                        if (step > max - o)
                                break;
                        memcpy(out + o, p, step);
                        if (c == ' ')
                                out[o] = ' ';
                        o += step;
                }
                p += step;
                left -= step;
        }
        out[o] = '\0';
        return out;
}

char *escape_display(const char *in, size_t max) {
        return make_harmless(in, max, 0);
}

char *escape_lines(const char *in, size_t max) {
        return make_harmless(in, max, LINES);
}

char *escape_name(const char *in, size_t max) {
        return make_harmless(in, max, BYTES);
}

static int hex_value(char c) {
        const char *p;

        if (c == '\0')
                return -1;
        p = strchr(hex_lower, c);
        if (p)
                return (int)(p - hex_lower);
        p = strchr(hex_upper, c);
        return p ? (int)(p - hex_upper) : -1;
}

/* Also refuses what decodes to the byte also_bad (0: only NUL is refused). */
static char *unescape(const char *s, size_t n, char also_bad) {
        _cleanup_free_ char *out = malloc(n + 1);
        size_t o = 0;

        if (!out)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                int high, low;

                if (s[i] == '\0')
                        return NULL;
                if (s[i] != '%') {
                        out[o++] = s[i];
                        continue;
                }
                if (n - i < 3)
                        return NULL;
                high = hex_value(s[i + 1]);
                low = hex_value(s[i + 2]);
                if (high < 0 || low < 0 || high + low == 0 || (high << 4 | low) == also_bad)
                        return NULL;
                out[o++] = (char)(high << 4 | low);
                i += 2;
        }
        out[o] = '\0';
        return TAKE_PTR(out);
}

char *uri_unescape(const char *s, size_t n) {
        return unescape(s, n, '\0');
}

char *uri_to_path(const char *uri) {
        static const char *const hosts[] = {"//localhost/", "///"};

        if (strncasecmp(uri, "file:", 5) != 0 || strpbrk(uri, "?#"))
                return NULL;
        uri += 5;
        for (size_t i = 0; i < ELEMENTSOF(hosts); i++) {
                size_t k = strlen(hosts[i]);

                if (strncasecmp(uri, hosts[i], k) == 0)
                        return unescape(uri + k - 1, strlen(uri + k - 1), '/');
        }
        if (uri[0] != '/' || uri[1] == '/') /* relative, or another host's */
                return NULL;
        return unescape(uri, strlen(uri), '/');
}

static bool is_unreserved(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               (c != '\0' && strchr("-._~/", c));
}

/* What is not kept is percent-encoded. */
static char *escape(const char *s, bool (*is_kept)(char c)) {
        size_t n = strlen(s), size, o = 0;
        char *out;

        if (__builtin_mul_overflow(n, 3u, &size) || !(out = malloc(size + 1)))
                return NULL;
        for (size_t i = 0; i < n; i++) {
                unsigned char c = (unsigned char)s[i];

                if (is_kept(s[i])) {
                        out[o++] = s[i];
                        continue;
                }
                out[o++] = '%';
                out[o++] = hex_upper[c >> 4];
                out[o++] = hex_upper[c & 15];
        }
        out[o] = '\0';
        return out;
}

char *uri_escape_path(const char *path) {
        return escape(path, is_unreserved);
}

static bool is_ascii(char c) {
        return (unsigned char)c < 0x80;
}

char *uri_to_ascii(const char *uri) {
        return escape(uri, is_ascii);
}
