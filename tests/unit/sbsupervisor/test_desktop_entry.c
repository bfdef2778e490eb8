/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/desktop_entry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/test.h"

#define ID "org.sidebus.vm.web"

static char top[] = "/tmp/sidebus-desktop-XXXXXX";
static char dir[256], path[512];

/* The lines between Name= and the next. */
static void check_name(const char *label, const char *written) {
        _cleanup_free_ char *text = desktop_entry_text("web", label), *want = NULL;

        CHECK(asprintf(&want, "\nName=%s\nComment=", written) > 0);
        CHECK(text && want && strstr(text, want));
}

static void test_text(void) {
        _cleanup_free_ char *text = desktop_entry_text("web", "My Web");

        CHECK_EQ_STR(text, "[Desktop Entry]\n"
                           "Type=Application\n"
                           "Name=My Web\n"
                           "Comment=Programs in the virtual machine web\n"
                           "Icon=computer\n"
                           "Exec=true\n"
                           "NoDisplay=true\n"
                           "X-Sidebus-VM=web\n");
        check_name("a\\b", "a\\\\b");
        check_name("  two", "\\s two");
        check_name("a\nExec=evil", "a\\nExec=evil");
        check_name("a\tb\rc", "a\\tb\\rc");
        check_name("B\xc3\xbcro", "B\xc3\xbcro");
        check_name("", "");
}

static void write_text(const char *text) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
        (void)close(fd);
}

static ino_t inode(void) {
        struct stat st;

        return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* Whether the file begins with text. */
static bool says(const char *text) {
        char buf[1024] = "";
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

        return fd >= 0 && read(fd, buf, sizeof(buf) - 1) >= 0 && strstr(buf, text);
}

static void test_install(void) {
        struct stat st;
        ino_t first;

        CHECK_EQ_INT(desktop_entry_remove(ID), 0); /* not even its directory is there */
        CHECK_EQ_INT(desktop_entry_install(ID, "web", "Web"), 0);
        CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0644);
        first = inode();
        CHECK_EQ_INT(desktop_entry_install(ID, "web", "Web"), 0);
        CHECK_EQ_INT(inode(), first); /* nobody is told of a change that is none */
        CHECK_EQ_INT(desktop_entry_install(ID, "web", "Other"), 0);
        CHECK(inode() != first && says("Name=Other\n"));
        CHECK_EQ_INT(desktop_entry_remove(ID), 0);
        CHECK_EQ_INT(inode(), 0);
}

static void test_not_ours(void) {
        CHECK_EQ_INT(desktop_entry_install(ID, "web", "Web"), 0);
        write_text("[Desktop Entry]\nType=Application\nName=Mine\nExec=true\n");
        CHECK_EQ_INT(desktop_entry_install(ID, "web", "Web"), 0);
        CHECK(says("Name=Mine"));
        CHECK_EQ_INT(desktop_entry_remove(ID), 0);
        CHECK(says("Name=Mine"));
        CHECK_EQ_INT(unlink(path), 0);
        CHECK_EQ_INT(mkdir(path, 0700), 0);
        CHECK_EQ_INT(desktop_entry_install(ID, "web", "Web"), 0);
        CHECK_EQ_INT(desktop_entry_remove(ID), 0);
        CHECK_EQ_INT(rmdir(path), 0);
}

static void test_no_place(void) {
        CHECK_EQ_INT(setenv("XDG_DATA_HOME", "/dev/null", 1), 0);
        CHECK_EQ_INT(desktop_entry_install(ID, "web", "Web"), -ENOTDIR);
        CHECK_EQ_INT(setenv("XDG_DATA_HOME", "relative", 1), 0);
        CHECK_EQ_INT(unsetenv("HOME"), 0);
        CHECK_EQ_INT(desktop_entry_install(ID, "web", "Web"), -ENOENT);
        CHECK_EQ_INT(setenv("HOME", top, 1), 0);
        CHECK_EQ_INT(desktop_entry_install(ID, "web", "Web"), 0);
        (void)snprintf(path, sizeof(path), "%s/.local/share/applications/%s.desktop", top, ID);
        CHECK(says("Name=Web\n"));
        CHECK_EQ_INT(desktop_entry_remove(ID), 0);
}

/* Nothing but directories is left: no file that was written beside. */
static void test_left(void) {
        static const char *const made[] = {"/data/applications", "/data", "/.local/share/applications",
                                           "/.local/share", "/.local", ""};

        for (size_t i = 0; i < ELEMENTSOF(made); i++) {
                char name[512];

                (void)snprintf(name, sizeof(name), "%s%s", top, made[i]);
                CHECK_EQ_INT(rmdir(name), 0);
        }
}

static void make_place(void) {
        CHECK(mkdtemp(top) != NULL);
        (void)snprintf(dir, sizeof(dir), "%s/data", top);
        (void)snprintf(path, sizeof(path), "%s/applications/%s.desktop", dir, ID);
        CHECK_EQ_INT(setenv("XDG_DATA_HOME", dir, 1), 0);
}

TEST_MAIN({"place", make_place}, {"text", test_text}, {"install", test_install},
          {"not ours", test_not_ours}, {"no place", test_no_place}, {"left", test_left})
