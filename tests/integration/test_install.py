# SPDX-License-Identifier: MIT
"""make install, make uninstall, make deb, and what systemd and lintian say of the results."""

import os
import re
import shutil
import stat
import subprocess

from rig.processes import scale

MAN = {"host": ["man5/sidebus.conf.5", "man8/sbsupervisor.8", "man8/sbrouter.8", "man8/sbportal.8"],
       "guest": ["man8/sbagent.8", "man8/sidebus-guest-generator.8"]}
PROGRAMS = {"host": ["bin/sbsupervisor", "libexec/sidebus/sbrouter", "libexec/sidebus/sbportal"],
            "guest": ["bin/sbagent"]}
ALL_PROGRAMS = ["sbsupervisor", "sbrouter", "sbportal", "sbagent", "sidebus-guest-generator"]
# (systemd's name for the directory, the file in it)
SYSTEMD = {"host": [("systemduserunitdir", "sidebus@.service"),
                    ("systemdsystemunitdir", "sidebus@.service")],
           "guest": [("systemdsystemunitdir", "sbagent.socket"),
                     ("systemdsystemunitdir", "sbagent.service"),
                     ("systemdsystemunitdir", "run-sidebus-doc.mount"),
                     ("systemdsystemgeneratordir", "sidebus-guest-generator"),
                     ("sysusersdir", "sidebus-guest.conf"),
                     ("tmpfilesdir", "sidebus-guest.conf")]}
EXAMPLE = "share/doc/sidebus-guest/examples/environment.conf"


def run(argv, check=True, **environment):
    """With the environment of a person who types it: not that of the make that runs the tests."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(argv, env={**kept, "LC_ALL": "C.UTF-8", **environment},
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=80 * scale(), check=check)


def built(env):
    """A build directory of this file's own, with the programs that are built already."""
    directory = os.path.join(env.root, "install-build")
    if not os.path.isdir(directory):
        os.mkdir(directory)
        for name in ALL_PROGRAMS:
            shutil.copy(os.path.join(env.build, name), directory)
    return directory


def make(env, *arguments):
    """In the source tree.  Programs stay as they are; units are made for the directories given."""
    keep = [word for name in ALL_PROGRAMS for word in ("-o", os.path.join(built(env), name))]
    done = run(["make", "-s", "-C", env.source, f"O={built(env)}", *keep, *arguments], check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def pkg_config(*arguments):
    return run(["pkg-config", *arguments]).stdout.strip()


def knows(version):
    """Whether this machine's systemd is of that version or later."""
    asked = run(["pkg-config", f"--atleast-version={version}", "libsystemd"], check=False)
    return asked.returncode == 0


def files(directory):
    """{path: mode} of the files below it, the paths as installed."""
    found = {}
    for where, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(where, name)
            found[path[len(directory):]] = stat.S_IMODE(os.lstat(path).st_mode)
    return found


def expected(part, prefix, directory_of):
    """What a part consists of, each with its mode."""
    paths = [f"{prefix}/share/man/{page}" for page in MAN[part]]
    paths += [f"{prefix}/{program}" for program in PROGRAMS[part]]
    for kind, name in SYSTEMD[part]:
        paths.append(f"{directory_of(kind)}/{name}")
    if part == "guest":
        paths.append(f"{prefix}/{EXAMPLE}")
    programs = ("bin", "sidebus", "system-generators")
    return {path: 0o755 if os.path.basename(os.path.dirname(path)) in programs else 0o644
            for path in paths}


def below(prefix):
    """systemd's directories, were systemd itself installed there."""
    return {"systemduserunitdir": f"{prefix}/lib/systemd/user",
            "systemdsystemunitdir": f"{prefix}/lib/systemd/system",
            "systemdsystemgeneratordir": f"{prefix}/lib/systemd/system-generators",
            "sysusersdir": f"{prefix}/lib/sysusers.d",
            "tmpfilesdir": f"{prefix}/lib/tmpfiles.d"}.__getitem__


def of_systemd(kind):
    return pkg_config("--variable=" + kind, "systemd")


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


# --- make install ----------------------------------------------------------------------------

def check_part(env, part, prefix, directory_of):
    destination = os.path.join(env.tmp, part)
    make(env, f"PREFIX={prefix}", f"DESTDIR={destination}", f"install-{part}")
    assert files(destination) == expected(part, prefix, directory_of)
    for path in files(destination):
        if path.endswith((".service", ".socket", ".mount")):
            text = read(destination + path)
            assert not re.search(r"@[A-Z]+@", text), text
            started = re.findall(r"^Exec\w+=-?(\S+)/sb\w+", text, re.MULTILINE)
            assert set(started) <= {prefix + "/bin"}, text
    return files(destination)


def test_parts(env):
    """install-host and install-guest: each its files, with the prefix in the units, none of both"""
    host = check_part(env, "host", "/usr/local", below("/usr/local"))
    guest = check_part(env, "guest", "/usr/local", below("/usr/local"))
    assert not set(host) & set(guest)


def test_systemd_directories(env):
    """with PREFIX=/usr units go where systemd's pkg-config file says"""
    for part in ("host", "guest"):
        check_part(env, part, "/usr", of_systemd)


def test_chosen_directories(env):
    """a directory that is given on the command line counts"""
    chosen = {"USERUNITDIR": "/u", "SYSTEMUNITDIR": "/s", "GENERATORDIR": "/g",
              "SYSUSERSDIR": "/y", "TMPFILESDIR": "/t", "BINDIR": "/b", "LIBEXECDIR": "/l",
              "MANDIR": "/m", "DOCDIR": "/d"}
    make(env, f"DESTDIR={env.tmp}", *(f"{name}={path}" for name, path in chosen.items()), "install")
    paths = files(env.tmp)
    assert {"/" + path.split("/")[1] for path in paths} == set(chosen.values()), paths
    assert "ExecStart=/b/sbagent\n" in read(env.tmp + "/s/sbagent.service")


def test_uninstall(env):
    """uninstall removes all that install made, and nothing of others"""
    make(env, f"DESTDIR={env.tmp}", "install")
    mine = os.path.join(env.tmp, "usr/local/libexec/sidebus/mine")
    with open(mine, "w", encoding="utf-8"):
        pass
    make(env, f"DESTDIR={env.tmp}", "uninstall")
    assert list(files(env.tmp)) == [mine[len(env.tmp):]]
    os.unlink(mine)
    make(env, f"DESTDIR={env.tmp}", "uninstall")
    left = [where for where, _, _ in os.walk(env.tmp) if "sidebus" in os.path.basename(where)]
    assert not left, left


# --- what systemd says -----------------------------------------------------------------------

# Said of sidebus@.service by a systemd before 254, which starts it again without them.
BACK_OFF = re.compile(r": Unknown key .*'(RestartSteps|RestartMaxDelaySec)' in .*, ignoring\.$")


def verify(env, path, *options):
    """What systemd says of a unit, but for what it is known not to know."""
    said = run(["systemd-analyze", *options, "verify", "--man=no", path], check=False,
               XDG_RUNTIME_DIR=env.tmp).stdout.splitlines()
    unknown = [line for line in said if BACK_OFF.search(line)]
    if path.endswith("sidebus@.service") and not knows(254):
        assert len(unknown) == 2, said
        return "\n".join(line for line in said if line not in unknown)
    return "\n".join(said)


def units(env):
    """[(path, options for systemd-analyze)]; their programs are found where they were built."""
    make(env, f"BINDIR={built(env)}", f"DESTDIR={env.tmp}", "install")
    found = []
    for path in files(env.tmp):
        if path.endswith((".service", ".socket", ".mount")):
            found.append((env.tmp + path, ["--user"] if "/user/" in path else ["--system"]))
    assert len(found) == 5, found
    return found


def test_units_verify(env):
    """systemd knows every line of the units, and says so of a line that it does not know"""
    for path, options in units(env):
        said = verify(env, path, *options)
        assert not said, said
        wrong = os.path.join(env.directory(), os.path.basename(path))
        with open(wrong, "w", encoding="utf-8") as f:
            f.write(read(path) + "\n[Unit]\nNonsense=yes\n")
        assert "Nonsense" in verify(env, wrong, *options), path


def test_back_off(env):
    """the host's units start again ever more slowly, wherever they were built"""
    make(env, f"DESTDIR={env.tmp}", "SYSTEMD_254=", "install-host")
    for kind in ("user", "system"):
        text = read(f"{env.tmp}/usr/local/lib/systemd/{kind}/sidebus@.service")
        assert "\nRestartSteps=5\nRestartMaxDelaySec=1min\n" in text, text


def test_credential_files(env):
    """the guest's socket waits for files of credentials where the generator reads them"""
    make(env, f"DESTDIR={env.tmp}", "install-guest")
    text = read(f"{env.tmp}/usr/local/lib/systemd/system/sbagent.socket")
    for name in ("sidebus.port", "sidebus.connect"):
        places = re.findall(rf"^ConditionPathExists=\|(.*)/{name}$", text, re.MULTILINE)
        source = read(os.path.join(env.source, "systemd/generator/main.c"))
        assert places == re.findall(r'"(/[^"]*credstore)"', source) and places, places


# The most that systemd-analyze may say, of 10, of systemd 252.  It counts against a user's unit, too,
# that it might run as root, and what only the system's manager can do (the kernel's log, devices,
# /proc, network): without that it would be 3.2 as well.
EXPOSURES = {"user/sidebus@.service": 4.0, "system/sidebus@.service": 3.2,
             "system/sbagent.service": 1.6}


def exposure(env, path, *options):
    said = run(["systemd-analyze", "security", "--offline=yes", "--no-pager", *options, path],
               check=False, XDG_RUNTIME_DIR=env.tmp).stdout
    return float(re.search(r"Overall exposure level for .*: ([\d.]+) ", said)[1])


def test_exposure(env):
    """what systemd-analyze says of the services' exposure, each as it is used"""
    left = set(EXPOSURES)
    for path, options in units(env):
        name = "/".join(path.split("/")[-2:])
        if not name.endswith(".service"):
            continue
        if name == "system/sidebus@.service":  # with an owner, without whom it does not serve
            with open(path, "a", encoding="utf-8") as f:
                f.write("\n[Service]\nUser=person\n")
        level = exposure(env, path, *(o for o in options if o == "--user"))
        env.note(f"{name}: {level}")
        assert level <= EXPOSURES[name], (name, level)
        left.remove(name)
    assert left == set(), left


def test_units_explained(env):
    """each hardening setting of the units stands below a line that says why"""
    settings = re.compile(
        "^(Protect|Private|Restrict(?!art)|NoNew|Lock|Memory|Capab|SystemCall|UMask|Device|IPAddress)")
    for path, _ in units(env):
        explained = False
        for number, line in enumerate(read(path).splitlines(), 1):
            if line.startswith("#"):
                explained = True
            elif not line:
                explained = False
            elif settings.match(line):
                assert explained, f"{path}:{number}: {line}"


# --- the generator ---------------------------------------------------------------------------

def generate(env, credentials, expect):
    """Runs it as systemd does; {path: text or the link's target}, and what it said."""
    base = os.path.join(env.tmp, str(len(os.listdir(env.tmp))))
    directories = [os.path.join(base, name) for name in ("credentials", "normal", "early", "late")]
    for directory in directories:
        os.makedirs(directory)
    for name, value in credentials.items():
        with open(os.path.join(directories[0], name), "wb") as f:
            f.write(value)
    done = run([os.path.join(built(env), "sidebus-guest-generator"), *directories[1:]], check=False,
               CREDENTIALS_DIRECTORY=directories[0])
    assert done.returncode == expect, done.stdout
    assert not files(directories[2]) and not files(directories[3])
    made = {}
    for path in files(directories[1]):
        whole = directories[1] + path
        made[path] = os.readlink(whole) if os.path.islink(whole) else read(whole)
    return made, done.stdout


def test_generator(env):
    """the guest's generator: the tag pulls in the mount, the user gets the socket"""
    made, said = generate(env, {"sidebus.tag": b"my-share\n", "sidebus.user": b"1001:100"}, 0)
    flags = read(os.path.join(env.build, "flags"))
    unit = re.search(r'SIDEBUS_SYSTEMUNITDIR=[\'"]*([^\'"]+)', flags)[1] + "/run-sidebus-doc.mount"
    assert made == {"/run-sidebus-doc.mount.d/50-sidebus.conf": "[Mount]\nWhat=my-share\n",
                    "/multi-user.target.wants/run-sidebus-doc.mount": unit,
                    "/sbagent.service.wants/run-sidebus-doc.mount": unit,
                    "/sbagent.socket.d/50-sidebus.conf":
                        "[Socket]\nExecStartPost=\n"
                        "ExecStartPost=chown 1001:100 /run/sidebus/bus\n"}, made
    assert not said, said
    assert generate(env, {}, 0) == ({}, "")


def test_generator_refuses(env):
    """the guest's generator: a bad tag mounts nothing, a bad user leaves the socket to root"""
    for tag in (b"", b"x\nOptions=suid", b"-o", b"a\0b", b"%h", b"a b", b"x" * 37, b"x" * 5000):
        made, said = generate(env, {"sidebus.tag": tag}, 1)
        assert not made, made
        assert said.startswith("<27>sidebus-guest-generator: credential sidebus.tag: "), said
        assert said.count("\n") == 1 and said.isprintable() is False and len(said) < 600, said
    for user in (b"", b"root", b"1001\nSocketMode=0666", b"-1", b"65535", b"1001:"):
        made, said = generate(env, {"sidebus.user": user, "sidebus.tag": b"good"}, 1)
        assert made["/sbagent.socket.d/50-sidebus.conf"] == "[Socket]\nExecStartPost=\n", made
        assert made["/run-sidebus-doc.mount.d/50-sidebus.conf"] == "[Mount]\nWhat=good\n", made
        assert "credential sidebus.user: " in said and said.count("\n") == 1, said


# --- make deb --------------------------------------------------------------------------------

def packages(env):
    """{name: path} of the packages, which the first test that asks builds."""
    directory = os.path.join(built(env), "deb")
    make(env, os.path.join(directory, "stamp"))
    found = {}
    for name in os.listdir(directory):
        if name.endswith(".deb"):
            found[name.split("_")[0]] = os.path.join(directory, name)
    return found


def unpack(env, path):
    """(directory with the files, directory with the control files)."""
    where = os.path.join(env.tmp, os.path.basename(path))
    run(["dpkg-deb", "--raw-extract", path, where])
    control = os.path.join(env.tmp, "control-" + os.path.basename(path))
    os.rename(os.path.join(where, "DEBIAN"), control)
    return where, control


def fields(path):
    text = run(["dpkg-deb", "--field", path]).stdout
    return dict(re.findall(r"^([\w-]+): (.*)$", text, re.MULTILINE))


def test_deb_contents(env):
    """the two packages have what install puts there, the version of the tree, and documentation"""
    version = read(os.path.join(env.source, "VERSION")).strip()
    for part, name in (("host", "sidebus"), ("guest", "sidebus-guest")):
        path = packages(env)[name]
        assert fields(path)["Version"] == version
        tree, _ = unpack(env, path)
        found = {p.removesuffix(".gz"): mode for p, mode in files(tree).items()
                 if not p.startswith(f"/usr/share/doc/{name}/") or p.endswith(EXAMPLE)}
        assert found == expected(part, "/usr", of_systemd), found
        documents = os.listdir(f"{tree}/usr/share/doc/{name}")
        assert {"copyright", "changelog.gz"} <= set(documents), documents
        for link in re.findall(r"\]\(([^):]+)\)", read(f"{tree}/usr/share/doc/{name}/README.md")):
            assert os.path.isfile(f"{tree}/usr/share/doc/{name}/{link}"), (name, link)
    assert sorted(packages(env)) == ["sidebus", "sidebus-guest"]


def test_deb_dependencies(env):
    """the packages name what they need: libraries by themselves, programs by hand"""
    host, guest = (fields(packages(env)[name]) for name in ("sidebus", "sidebus-guest"))
    for word in ("xdg-desktop-portal", "fuse3", "dbus-user-session", "libc6", "libsystemd0",
                 "libseccomp2", "libcap-ng0"):
        assert re.search(rf"(^|, ){re.escape(word)}( |,|$)", host["Depends"]), (word, host)
    assert "libdbus" not in host["Depends"], host  # a bus that would bring it had a megabyte more
    assert "virtiofsd (>= 1.13)" in host["Recommends"], host
    for word in ("systemd (>= 252)", "libsystemd0", "libseccomp2", "libcap-ng0"):
        assert word in guest["Depends"], (word, guest)
    for word in ("dbus", "xdg", "fuse"):  # not even D-Bus: it carries bytes
        assert word not in guest["Depends"], guest


def test_deb_scripts(env):
    """the guest's socket is enabled, its user made, nothing is started again on an upgrade"""
    _, host = unpack(env, packages(env)["sidebus"])
    _, guest = unpack(env, packages(env)["sidebus-guest"])
    postinst = read(os.path.join(guest, "postinst"))
    assert re.search(r"deb-systemd-helper .*enable '?sbagent.socket", postinst), postinst
    assert "systemd-sysusers" in postinst and "systemd-tmpfiles" in postinst, postinst
    assert "restart" not in postinst, postinst
    assert not re.search(r"sbagent.service", postinst), postinst
    for script in os.listdir(host):
        assert script in ("control", "md5sums"), script  # templates are for a person to start


def test_lintian(env):
    """lintian finds no error in the packages and warns of nothing"""
    packages(env)
    changes = [name for name in os.listdir(os.path.join(built(env), "deb"))
               if name.endswith(".changes")]
    assert len(changes) == 1, changes
    done = run(["lintian", "--fail-on", "error,warning", "--tag-display-limit", "0",
                os.path.join(built(env), "deb", changes[0])], check=False)
    assert done.returncode == 0 and not re.search("^[EW]:", done.stdout, re.MULTILINE), done.stdout
