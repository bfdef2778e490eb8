# SPDX-License-Identifier: MIT
"""Files of odd names and kinds, opened by a guest: they come as they are, or are refused."""

import errno
import os

from rig.files import opened, read, refused, write
from rig.guest import GLib


def keeps_name(env, name):
    """A file of this name is read, written, and has the same name in the guest."""
    host = env.host_file(name, b"old")
    guest = opened(env, host)
    assert os.path.basename(guest) == os.fsencode(name), guest
    assert read(guest) == b"old"
    write(guest, b"new")
    assert read(host) == b"new"


def test_name_space(env):
    """a name with spaces"""
    keeps_name(env, "two  words ")


def test_name_percent(env):
    """a name with % and what looks like an escape"""
    keeps_name(env, "100%25 sure%2F%00.txt")


def test_name_hash(env):
    """a name with # and ?"""
    keeps_name(env, "c#?a=b&c;d")


def test_name_quotes(env):
    """a name with quotes, a backslash and a dollar"""
    keeps_name(env, "'it\\s' \"$HOME\" `id`")


def test_name_newline(env):
    """a name with a newline and other control characters"""
    keeps_name(env, b"a\nb\tc\x1b[31m\x7f")


def test_name_bytes(env):
    """a name that is not UTF-8"""
    keeps_name(env, b"caf\xe9 \xff\xfe")


def test_name_utf8(env):
    """a name in UTF-8"""
    keeps_name(env, "żółć 文件 😀")


def test_name_long(env):
    """a name of 255 bytes"""
    keeps_name(env, "x" * 255)


def test_name_dots(env):
    """names that begin with dots or a dash"""
    for name in ("...", "..a", ".hidden", "-rf"):
        keeps_name(env, name)


def test_uri_forms(env):
    """a backend that escapes less, or writes the host name, means the same file"""
    host = env.host_file("it's (1).txt", b"x")
    for uri in ("file://" + os.fsdecode(host).replace(" ", "%20"),
                "file://localhost" + os.fsdecode(host).replace(" ", "%20")):
        request = env.client().open_file()
        env.dialog().answer(0, uris=("as", [uri]))
        assert read(request.path_of_one()) == b"x"


def test_symlinked(env):
    """a file behind the person's own symbolic link is the file itself"""
    target = env.host_file("target", b"behind")
    link = os.path.join(os.path.dirname(target), b"link")
    os.symlink(target, link)
    guest = opened(env, link)
    assert not os.path.islink(guest)
    assert read(guest) == b"behind"
    write(guest, b"written")
    assert read(target) == b"written" and os.path.islink(link)


def test_read_only(env):
    """a file the person may only read: EACCES for the guest that writes"""
    host = env.host_file("fixed", b"fixed", mode=0o444)
    guest = opened(env, host)
    assert read(guest) == b"fixed"
    assert refused(write, guest, b"changed") == errno.EACCES
    assert refused(os.truncate, guest, 0) == errno.EACCES
    assert refused(os.chmod, guest, 0o666) in (errno.EACCES, errno.EPERM, errno.ENOSYS)
    assert read(host) == b"fixed" and os.stat(host).st_mode & 0o777 == 0o444


def test_read_only_directory(env):
    """a directory the person may only read: nothing is made or removed in it"""
    host = os.path.dirname(env.host_file("closed/in", b"in", mode=0o444))
    os.chmod(host, 0o555)
    try:
        guest = opened(env, host, directory=GLib.Variant("b", True))
        assert read(os.path.join(guest, b"in")) == b"in"
        assert refused(write, os.path.join(guest, b"new"), b"") == errno.EACCES
        assert refused(os.unlink, os.path.join(guest, b"in")) == errno.EACCES
    finally:
        os.chmod(host, 0o755)


def test_host_changes(env):
    """what the host changes later is what the guest sees"""
    host = env.host_file("living", b"one")
    guest = opened(env, host)
    assert read(guest) == b"one"
    write(host, b"two and more")
    assert read(guest) == b"two and more"


def test_empty_and_large(env):
    """an empty file, and one of 8 MiB, whole"""
    content = os.urandom(1 << 20) * 8
    assert read(opened(env, env.host_file("empty"))) == b""
    host = env.host_file("large", content)
    guest = opened(env, host)
    assert read(guest) == content
    write(guest, content[::-1])
    assert read(host) == content[::-1]
