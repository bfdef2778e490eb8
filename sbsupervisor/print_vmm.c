/* SPDX-License-Identifier: MIT */
/*
 * The words of each VMM.  Each function writes one whole text; print.c has seen to it that p->way
 * fits and that every value can be said.
 */
#include "sbsupervisor/print.h"

#define OWN_CID 3 /* where only the VMM itself sees it, one number is as good as the next */

static uint32_t cid_of(const struct print *p) {
        return p->facts->cid ?: OWN_CID;
}

static const char *shell(struct print *p, const char *word) {
        return print_quoted(p, QUOTE_SHELL, word);
}

/* One option of a command line: its name, and a value that may hold anything. */
static void option(struct print *p, const char *name, const char *value) {
        (void)fprintf(p->out, "%s%s %s", p->n_options++ > 0 ? " \\\n" : "", name, shell(p, value));
}

static void end_options(struct print *p) {
        (void)fputc('\n', p->out);
}

static void head(struct print *p, const char *what) {
        (void)fprintf(p->out,
                      "# VM '%s': %s.\n"
                      "# Start sidebus@%s first: it makes the sockets.\n",
                      p->facts->vm, what, p->facts->vm);
        if (p->mount_unit)
                (void)fprintf(p->out,
                              "# GuestPath= moves the documents: the guest needs the unit\n"
                              "# %s, made like its run-sidebus-doc.mount, enabled.\n",
                              p->mount_unit);
}

static const char *oem(struct print *p, unsigned i) {
        return print_own(p, "io.systemd.credential:%s=%s", p->credentials[i].name,
                         p->credentials[i].value);
}

/* "a,b": all credentials as SMBIOS strings, each quoted for a list. */
static const char *oem_list(struct print *p, enum quote how) {
        const char *list = "";

        for (unsigned i = 0; i < p->n_credentials; i++)
                list = print_own(p, "%s%s%s", list, i > 0 ? "," : "",
                                 print_quoted(p, how, oem(p, i)));
        return list;
}

/* For a VMM without SMBIOS strings: the same on the kernel's command line. */
static void remark_kernel_options(struct print *p) {
        (void)fputc('#', p->out);
        for (unsigned i = 0; i < p->n_credentials; i++)
                (void)fprintf(p->out, " systemd.set_credential=%s:%s", p->credentials[i].name,
                              p->credentials[i].value);
        (void)fputc('\n', p->out);
}

/* --- QEMU ------------------------------------------------------------------------------------- */

#define VHOST_DEVICE "vhost-user-vsock-pci,chardev=sidebus-vsock"

static const char *comma(struct print *p, const char *value) {
        return print_quoted(p, QUOTE_COMMA, value);
}

static const char *vhost_socket(struct print *p) {
        return print_own(p, "%s.vhost", p->way.prefix);
}

static const char *vhost_chardev(struct print *p) {
        return print_own(p, "socket,id=sidebus-vsock,path=%s", comma(p, vhost_socket(p)));
}

static void qemu_vsock(struct print *p) {
        if (p->way.kind == PRINT_WAY_VSOCK) {
                option(p, "-device", print_own(p, "vhost-vsock-pci,guest-cid=%u", cid_of(p)));
        } else {
                option(p, "-chardev", vhost_chardev(p));
                option(p, "-device", VHOST_DEVICE);
        }
}

void print_qemu(struct print *p) {
        head(p, "options for its QEMU; put its memory where 4G is");
        if (p->way.kind == PRINT_WAY_PREFIX)
                (void)fprintf(p->out,
                              "# Its vsock is a program of its own, to be started before QEMU:\n"
                              "# vhost-device-vsock --guest-cid=%u --socket=%s --uds-path=%s\n",
                              cid_of(p), shell(p, vhost_socket(p)), shell(p, p->way.prefix));
        option(p, "-m", "4G");
        option(p, "-object", "memory-backend-memfd,id=mem,size=4G,share=on");
        option(p, "-machine", "memory-backend=mem");
        qemu_vsock(p);
        option(p, "-chardev",
               print_own(p, "socket,id=sidebus-doc,path=%s", comma(p, p->facts->share_socket)));
        option(p, "-device",
               "vhost-user-fs-pci,chardev=sidebus-doc,tag=" PRINT_TAG ",queue-size=1024");
        for (unsigned i = 0; i < p->n_credentials; i++)
                option(p, "-smbios", print_own(p, "type=11,value=%s", comma(p, oem(p, i))));
        end_options(p);
}

/* --- libvirt: QEMU's, as XML ------------------------------------------------------------------ */

static const char *xml(struct print *p, const char *text) {
        return print_quoted(p, QUOTE_XML, text);
}

static void libvirt_vsock(struct print *p) {
        if (p->way.kind == PRINT_WAY_VSOCK)
                (void)fprintf(p->out,
                              "    <vsock model='virtio'>\n"
                              "      <cid auto='no' address='%u'/>\n"
                              "    </vsock>\n",
                              cid_of(p));
}

/* libvirt has no words for a vsock whose device is another program. */
static void libvirt_commandline(struct print *p) {
        const char *const args[] = {"-chardev", xml(p, vhost_chardev(p)), "-device", VHOST_DEVICE};

        (void)fputs("  <!-- Its vsock is a program of its own, vhost-device-vsock, to be started "
                    "before the\n"
                    "       domain: the format qemu prints its command line. -->\n"
                    "  <qemu:commandline>\n",
                    p->out);
        for (unsigned i = 0; i < sizeof(args) / sizeof(args[0]); i++)
                (void)fprintf(p->out, "    <qemu:arg value='%s'/>\n", args[i]);
        (void)fputs("  </qemu:commandline>\n", p->out);
}

void print_libvirt(struct print *p) {
        bool own = p->way.kind == PRINT_WAY_PREFIX;

        (void)fprintf(p->out,
                      "<!-- Add these to the domain of this VM, under qemu:///session: QEMU of "
                      "qemu:///system\n"
                      "     is another user, who may not open the person's sockets.  Start the "
                      "VM's sidebus@\n"
                      "     first: it makes the sockets.%s%s%s -->\n"
                      "<domain type='kvm'%s>\n"
                      "  <memoryBacking>\n"
                      "    <source type='memfd'/>\n"
                      "    <access mode='shared'/>\n"
                      "  </memoryBacking>\n"
                      "  <os>\n"
                      "    <smbios mode='sysinfo'/>\n"
                      "  </os>\n"
                      "  <sysinfo type='smbios'>\n"
                      "    <oemStrings>\n",
                      p->mount_unit ? "\n     GuestPath= moves the documents: the guest needs the "
                                      "unit\n     " : "",
                      p->mount_unit ?: "",
                      p->mount_unit ? ", made like its run-sidebus-doc.mount, enabled." : "",
                      own ? " xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'" : "");
        for (unsigned i = 0; i < p->n_credentials; i++)
                (void)fprintf(p->out, "      <entry>%s</entry>\n", xml(p, oem(p, i)));
        (void)fputs("    </oemStrings>\n"
                    "  </sysinfo>\n"
                    "  <devices>\n",
                    p->out);
        libvirt_vsock(p);
        (void)fprintf(p->out,
                      "    <filesystem type='mount'>\n"
                      "      <driver type='virtiofs' queue='1024'/>\n"
                      "      <source socket='%s'/>\n"
                      "      <target dir='" PRINT_TAG "'/>\n"
                      "    </filesystem>\n"
                      "  </devices>\n",
                      xml(p, p->facts->share_socket));
        if (own)
                libvirt_commandline(p);
        (void)fputs("</domain>\n", p->out);
}

/* --- Cloud Hypervisor ------------------------------------------------------------------------- */

static const char *bracket(struct print *p, const char *value) {
        return print_quoted(p, QUOTE_BRACKET, value);
}

void print_cloud_hypervisor(struct print *p) {
        head(p, "options for its cloud-hypervisor; put its memory where 4G is");
        (void)fputs("# Each of these may be given once only: add to what is there.\n", p->out);
        option(p, "--memory", "size=4G,shared=on");
        option(p, "--vsock",
               print_own(p, "cid=%u,socket=%s", cid_of(p), bracket(p, p->way.prefix)));
        option(p, "--fs",
               print_own(p, "tag=" PRINT_TAG ",socket=%s,num_queues=1,queue_size=1024",
                         bracket(p, p->facts->share_socket)));
        option(p, "--platform", print_own(p, "oem_strings=[%s]", oem_list(p, QUOTE_BRACKET)));
        end_options(p);
}

/* --- crosvm ----------------------------------------------------------------------------------- */

void print_crosvm(struct print *p) {
        head(p, "options for its \"crosvm run\"; put its memory, in MiB, where 4096 is");
        if (!p->facts->advertise_tag)
                (void)fputs("# It learns the share's tag from virtiofsd: write AdvertiseTag=yes in [Documents] of\n"
                            "# the configuration, or files that are picked do not reach this guest.\n",
                            p->out);
        (void)fputs("# --smbios exists on x86 only and may be given once only; elsewhere put this "
                    "on the\n"
                    "# kernel's command line:\n",
                    p->out);
        remark_kernel_options(p);
        option(p, "--mem", "size=4096");
        option(p, "--vsock", print_own(p, "cid=%u", cid_of(p)));
        option(p, "--vhost-user",
               print_own(p, "type=fs,socket=%s",
                         print_quoted(p, QUOTE_KEYVAL, p->facts->share_socket)));
        option(p, "--smbios", print_own(p, "oem-strings=[%s]", oem_list(p, QUOTE_KEYVAL)));
        end_options(p);
}

/* --- Firecracker ------------------------------------------------------------------------------ */

void print_firecracker(struct print *p) {
        head(p,
             "for its Firecracker; the lines without # are JSON, for --config-file or PUT /vsock");
        (void)fputs("# Firecracker has no virtio-fs: files that are picked do not reach this "
                    "guest; the rest\n"
                    "# works.  It has no SMBIOS strings either: add this to boot_args of its "
                    "boot-source:\n",
                    p->out);
        remark_kernel_options(p);
        (void)fprintf(p->out,
                      "{\n"
                      "  \"vsock\": {\n"
                      "    \"guest_cid\": %u,\n"
                      "    \"uds_path\": \"%s\"\n"
                      "  }\n"
                      "}\n",
                      cid_of(p), print_quoted(p, QUOTE_STRING, p->way.prefix));
}

/* --- libkrun ---------------------------------------------------------------------------------- */

void print_libkrun(struct print *p) {
        const char *port = p->credentials[0].value;

        (void)fprintf(p->out,
                      "/*\n"
                      " * VM '%s': calls for the program that starts it with libkrun.\n"
                      " * Start sidebus@%s first: it makes the socket.\n"
                      " *\n"
                      " * libkrun has no virtio-fs of another program: files that are picked do "
                      "not reach this\n"
                      " * guest; the rest works.  Do not share the documents with "
                      "krun_add_virtiofs(): by its\n"
                      " * own words it does not keep a guest within the directory.\n"
                      " *\n"
                      " * A guest that systemd does not start has no credentials: there, run\n"
                      " * sbagent --listen unix:/run/sidebus/bus --connect vsock:2:%s\n"
                      " */\n"
                      "static const char *const sidebus_oem_strings[] = {\n",
                      p->facts->vm, p->facts->vm, port);
        for (unsigned i = 0; i < p->n_credentials; i++)
                (void)fprintf(p->out, "        \"%s\",\n",
                              print_quoted(p, QUOTE_STRING, oem(p, i)));
        (void)fprintf(p->out,
                      "        NULL,\n"
                      "};\n"
                      "krun_set_smbios_oem_strings(ctx, sidebus_oem_strings);\n"
                      "krun_add_vsock_port2(ctx, %s, \"%s\", false);\n",
                      port, print_quoted(p, QUOTE_STRING, p->way.path));
}

/* --- systemd: who owns the instance that the system manager runs ------------------------------ */

static void unit_environment(struct print *p, const char *name, const char *value) {
        (void)fprintf(p->out, "Environment=\"%s=%s\"\n", name, print_quoted(p, QUOTE_UNIT, value));
}

void print_systemd_owner(struct print *p) {
        const struct print_facts *f = p->facts;
        const char *run = print_own(p, "/run/user/%u", f->uid);

        (void)fprintf(p->out,
                      "# Whose session VM '%s' is served in, for the system's sidebus@%s.service.  "
                      "It goes to\n"
                      "# /etc/systemd/system/sidebus@%s.service.d/owner.conf; then: systemctl "
                      "daemon-reload\n"
                      "[Unit]\n"
                      "BindsTo=user@%u.service\n"
                      "After=user@%u.service\n"
                      "\n"
                      "[Service]\n"
                      "User=%u\n",
                      f->vm, f->vm, f->vm, f->uid, f->uid, f->uid);
        unit_environment(p, "XDG_RUNTIME_DIR", run);
        unit_environment(p, "DBUS_SESSION_BUS_ADDRESS", print_own(p, "unix:path=%s/bus", run));
        if (f->config_home)
                unit_environment(p, "XDG_CONFIG_HOME", f->config_home);
        if (f->state_home)
                unit_environment(p, "XDG_STATE_HOME", f->state_home);
}
