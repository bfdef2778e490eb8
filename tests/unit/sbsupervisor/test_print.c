/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/print.h"

#include "tests/test.h"

static struct print_facts facts(struct address *listen, const char *address) {
        CHECK_EQ_INT(address_parse(address, listen), 0);
        return (struct print_facts){
                .vm = "web",
                .cid = 42,
                .listen = listen,
                .n_listen = 1,
                .share_socket = "/run/user/1000/sidebus/web/virtiofs.sock",
                .documents = PRINT_DOCUMENTS,
                .guest_uid = 1000,
                .guest_gid = 1000,
                .uid = 1000,
        };
}

static char *print(const char *name, const struct print_facts *f, int expected) {
        const struct print_format *format = print_find(name);
        char *text = NULL;

        CHECK(format);
        CHECK_EQ_INT(print_text(format, f, &text), expected);
        CHECK(text);
        return text;
}

/* Each of words (a NULL at the end) is in what is printed, in that order. */
static void check_words(const char *name, const struct print_facts *f, const char *const *words) {
        _cleanup_free_ char *text = print(name, f, 0);
        const char *at = text;

        for (; *words && at; words++) {
                at = strstr(at, *words);
                if (!at)
                        printf("# %s: no '%s' in:\n%s", name, *words, text);
                CHECK(at);
        }
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_names(void) {
        _cleanup_free_ char *names = print_names();

        CHECK_EQ_STR(
                names,
                "qemu, libvirt, cloud-hypervisor, crosvm, firecracker, libkrun, systemd-owner");
        CHECK(!print_find("QEMU"));
        CHECK(!print_find(""));
        for (const struct print_format *f = print_formats; f->name; f++)
                CHECK(print_find(f->name) == f);
}

static void test_qemu(void) {
        struct address a;
        struct print_facts f = facts(&a, "vsock:7000");
        _cleanup_free_ char *text = print("qemu", &f, 0);

        CHECK_EQ_STR(
                text,
                "# VM 'web': options for its QEMU; put its memory where 4G is.\n"
                "# Start sidebus@web first: it makes the sockets.\n"
                "-m 4G \\\n"
                "-object memory-backend-memfd,id=mem,size=4G,share=on \\\n"
                "-machine memory-backend=mem \\\n"
                "-device vhost-vsock-pci,guest-cid=42 \\\n"
                "-chardev socket,id=sidebus-doc,path=/run/user/1000/sidebus/web/virtiofs.sock \\\n"
                "-device vhost-user-fs-pci,chardev=sidebus-doc,tag=sidebus,queue-size=1024 \\\n"
                "-smbios type=11,value=io.systemd.credential:sidebus.port=7000 \\\n"
                "-smbios type=11,value=io.systemd.credential:sidebus.tag=sidebus\n");
}

static void test_qemu_unix(void) {
        struct address a;
        struct print_facts f = facts(&a, "unix:/home/a b,c/vsock_7000");

        check_words(
                "qemu", &f,
                WORDS("\n# vhost-device-vsock --guest-cid=42 --socket='/home/a b,c/vsock.vhost' "
                      "--uds-path='/home/a b,c/vsock'\n",
                      "-chardev 'socket,id=sidebus-vsock,path=/home/a b,,c/vsock.vhost' \\\n"
                      "-device vhost-user-vsock-pci,chardev=sidebus-vsock \\\n",
                      "sidebus.port=7000"));
}

static void test_libvirt(void) {
        struct address a;
        struct print_facts f = facts(&a, "vsock:7000");

        f.share_socket = "/run/it's <a> & \"b\"/virtiofs.sock";
        check_words("libvirt", &f,
                    WORDS("<domain type='kvm'>", "<source type='memfd'/>",
                          "<access mode='shared'/>", "<smbios mode='sysinfo'/>",
                          "<entry>io.systemd.credential:sidebus.port=7000</entry>",
                          "<cid auto='no' address='42'/>",
                          "<source socket='/run/it&apos;s &lt;a&gt; &amp; "
                          "&quot;b&quot;/virtiofs.sock'/>",
                          "<target dir='sidebus'/>"));
        f = facts(&a, "unix:/vms/vsock_7000");
        check_words("libvirt", &f,
                    WORDS("xmlns:qemu", "<qemu:arg value='-chardev'/>", "path=/vms/vsock.vhost'/>",
                          "vhost-user-vsock-pci"));
}

static void test_cloud_hypervisor(void) {
        struct address a;
        struct print_facts f = facts(&a, "unix:/vms/a,b/vsock_7000");

        check_words("cloud-hypervisor", &f,
                    WORDS("--memory size=4G,shared=on",
                          "--vsock 'cid=42,socket=\"/vms/a,b/vsock\"'",
                          "--fs tag=sidebus,socket=/run/user/1000/sidebus/web/virtiofs.sock,",
                          "--platform 'oem_strings=[io.systemd.credential:sidebus.port=7000,"
                          "io.systemd.credential:sidebus.tag=sidebus]'"));
}

static void test_crosvm(void) {
        struct address a;
        struct print_facts f = facts(&a, "vsock:7000");

        check_words("crosvm", &f,
                    WORDS("systemd.set_credential=sidebus.port:7000", "--vsock cid=42",
                          "--vhost-user type=fs,socket=/run/user/1000/sidebus/web/virtiofs.sock",
                          "--smbios 'oem-strings=[\"io.systemd.credential:sidebus.port=7000\","));
}

static void test_firecracker(void) {
        struct address a;
        struct print_facts f = facts(&a, "unix:/vms/a\"b/vsock_7000");

        check_words("firecracker", &f,
                    WORDS("no virtio-fs", "\n# systemd.set_credential=sidebus.port:7000\n",
                          "{\n  \"vsock\": {\n    \"guest_cid\": 42,\n"
                          "    \"uds_path\": \"/vms/a\\\"b/vsock\"\n  }\n}\n"));
}

static void test_libkrun(void) {
        struct address a;
        struct print_facts f = facts(&a, "unix:/vms/guest");

        check_words("libkrun", &f,
                    WORDS("no virtio-fs", "\"io.systemd.credential:sidebus.port=7000\",",
                          "krun_add_vsock_port2(ctx, 7000, \"/vms/guest\", false);"));
        f = facts(&a, "unix:/vms/vsock_7001");
        check_words("libkrun", &f,
                    WORDS("krun_add_vsock_port2(ctx, 7001, \"/vms/vsock_7001\", false);"));
}

static void test_owner(void) {
        struct address a;
        struct print_facts f = facts(&a, "unix:/vms/guest");
        _cleanup_free_ char *text = print("systemd-owner", &f, 0), *fault = NULL;

        CHECK_EQ_STR(text,
                     "# Whose session VM 'web' is served in, for the system's sidebus@web.service. "
                     " It goes to\n"
                     "# /etc/systemd/system/sidebus@web.service.d/owner.conf; then: systemctl "
                     "daemon-reload\n"
                     "[Unit]\n"
                     "BindsTo=user@1000.service\n"
                     "After=user@1000.service\n"
                     "\n"
                     "[Service]\n"
                     "User=1000\n"
                     "Environment=\"XDG_RUNTIME_DIR=/run/user/1000\"\n"
                     "Environment=\"DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus\"\n");
        f.config_home = "/home/100%/a b";
        check_words("systemd-owner", &f,
                    WORDS("Environment=\"XDG_CONFIG_HOME=/home/100%%/a b\"\n"));
        f.uid = 0;
        fault = print("systemd-owner", &f, PRINT_E_PERSON);
        CHECK(fault && strstr(fault, "root"));
}

/* Only where it is not what the guest has; and nothing in it ends the comment. */
static void test_mount_unit(void) {
        struct address a;
        struct print_facts f = facts(&a, "unix:/vms/vsock_7000");
        static const char *const shared[] = {"qemu", "libvirt", "cloud-hypervisor"};
        static const char *const unshared[] = {"firecracker", "libkrun", "systemd-owner"};

        f.documents = "/.a-->b/*/doc_1.2 \xc5\xbc";
        for (size_t i = 0; i < ELEMENTSOF(shared); i++)
                check_words(shared[i], &f,
                            WORDS("\\x2ea\\x2d\\x2d\\x3eb-\\x2a-doc_1.2\\x20\\xc5\\xbc.mount, "
                                  "made like its run-sidebus-doc.mount, enabled."));
        for (size_t i = 0; i < ELEMENTSOF(unshared); i++) {
                _cleanup_free_ char *text = print(unshared[i], &f, 0);

                CHECK(!strstr(text, ".mount"));
        }
}

/* The guest's user, and no tag where there is no share. */
static void test_credentials(void) {
        struct address a;
        struct print_facts f = facts(&a, "unix:/vms/vsock_7000");
        _cleanup_free_ char *text = NULL;

        f.guest_uid = 1001;
        check_words("qemu", &f,
                    WORDS("sidebus.port=7000", "sidebus.tag=sidebus", "sidebus.user=1001:1000"));
        text = print("firecracker", &f, 0);
        CHECK(text && !strstr(text, "sidebus.tag") && strstr(text, "sidebus.user:1001:1000"));
}

/* The CID is the VMM's own affair where the kernel's vsock is not used. */
static void test_own_cid(void) {
        struct address a;
        struct print_facts f = facts(&a, "unix:/vms/vsock_7000");

        f.cid = 0;
        check_words("qemu", &f, WORDS("--guest-cid=3 "));
        check_words("cloud-hypervisor", &f, WORDS("--vsock cid=3,"));
}

static void test_ways(void) {
        static const struct {
                const char *format, *address, *way_out;
        } rows[] = {
                {"crosvm", "unix:/vms/vsock_7000", "write Listen=vsock:PORT in"},
                {"firecracker", "vsock:7000", "write Listen=unix:/DIRECTORY/vsock_7000"},
                {"cloud-hypervisor", "vsock:7000", "Listen=unix:/DIRECTORY/vsock_7000"},
                {"libkrun", "vsock:7000", "Listen=unix:/DIRECTORY/vsock (any path in"},
                {"qemu", "unix:/vms/guest", "write Listen=vsock:PORT or Listen=unix:/DIRECTORY/"},
                /* only what a VMM would write itself */
                {"qemu", "unix:/vms/vsock_07000", "_PORT"},
                {"qemu", "unix:/vms/vsock_", "_PORT"},
                {"qemu", "unix:/vms/_7000", "_PORT"},
                {"qemu", "unix:/vms/vsock_7:1", "_PORT"},
                {"qemu", "unix:/vms/vsock_7000/guest", "_PORT"},
                {"qemu", "unix:/vms/vsock_4294967295", "_PORT"},
        };
        struct address a;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct print_facts f = facts(&a, rows[i].address);
                _cleanup_free_ char *fault = print(rows[i].format, &f, PRINT_E_WAY);

                CHECK(fault && strstr(fault, rows[i].way_out) && strstr(fault, "'web'"));
                if (fault && !strstr(fault, rows[i].way_out))
                        printf("# %s\n", fault);
        }
}

static void test_first_way(void) {
        struct address a[3];
        struct print_facts f = facts(&a[0], "unix:/vms/guest");

        CHECK_EQ_INT(address_parse("unix:/vms/vsock_7001", &a[1]), 0);
        CHECK_EQ_INT(address_parse("vsock:7002", &a[2]), 0);
        f.n_listen = 3;
        check_words("qemu", &f, WORDS("--uds-path=/vms/vsock\n", "sidebus.port=7001"));
        check_words("crosvm", &f, WORDS("--vsock cid=42", "sidebus.port=7002"));
        f.n_listen = 0;
        free(print("qemu", &f, PRINT_E_WAY));
}

static void test_unsayable(void) {
        static const struct {
                const char *format, *socket;
        } rows[] = {
                {"qemu", "/run/a\nb/virtiofs.sock"},
                {"libvirt", "/run/a\x1b[1mb/virtiofs.sock"},
                {"qemu", "/run/\xff/virtiofs.sock"},
                {"cloud-hypervisor", "/run/a\"b/virtiofs.sock"},
        };
        struct address a;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct print_facts f = facts(&a, "unix:/vms/vsock_7000");
                _cleanup_free_ char *fault = NULL;

                f.share_socket = rows[i].socket;
                fault = print(rows[i].format, &f, PRINT_E_TEXT);
                CHECK(fault && strstr(fault, rows[i].format) && !strpbrk(fault, "\n\x1b\xff"));
        }
}

TEST_MAIN({"formats have names", test_names}, {"qemu", test_qemu},
          {"qemu, vsock by another program", test_qemu_unix}, {"libvirt", test_libvirt},
          {"cloud-hypervisor", test_cloud_hypervisor}, {"crosvm", test_crosvm},
          {"firecracker", test_firecracker}, {"libkrun", test_libkrun},
          {"systemd-owner", test_owner}, {"a mount of the guest's own", test_mount_unit},
          {"credentials", test_credentials},
          {"a CID of the VMM's own", test_own_cid}, {"an address that does not fit", test_ways},
          {"the first address that fits", test_first_way},
          {"a path that cannot be said", test_unsayable})
