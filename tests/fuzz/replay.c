/* SPDX-License-Identifier: MIT */
/*
 * A main for fuzzers that are built without libFuzzer: gives each file, and each
 * file of each directory, among the arguments to the target once.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static unsigned replay_file(const char *path) {
        FILE *f = fopen(path, "re");
        /* Exactly as long as the input, so that the sanitizer sees one byte too many. */
        uint8_t *data = NULL;
        struct stat st;
        size_t n;

        if (!f || fstat(fileno(f), &st) < 0 || !(data = malloc((size_t)st.st_size + !st.st_size))) {
                fprintf(stderr, "%s: %s\n", path, strerror(errno));
                exit(EXIT_FAILURE);
        }
        n = fread(data, 1, (size_t)st.st_size, f);
        if (n != (size_t)st.st_size) {
                fprintf(stderr, "%s: short read\n", path);
                exit(EXIT_FAILURE);
        }
        fclose(f);
        printf("%s\n", path);
        fflush(stdout); /* so that the last line names the input that crashed */
        (void)LLVMFuzzerTestOneInput(data, n);
        free(data);
        return 1;
}

static unsigned replay(const char *path) {
        DIR *d = opendir(path);
        unsigned n = 0;

        if (!d)
                return replay_file(path);
        for (struct dirent *e; (e = readdir(d));) {
                _cleanup_free_ char *inside = NULL;

                if (e->d_name[0] == '.')
                        continue;
                if (asprintf(&inside, "%s/%s", path, e->d_name) < 0)
                        exit(EXIT_FAILURE);
                n += replay(inside);
        }
        closedir(d);
        return n;
}

int main(int argc, char **argv) {
        unsigned n = 0;

        for (int i = 1; i < argc; i++)
                n += replay(argv[i]);
        printf("%u inputs replayed\n", n);
        return n > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
