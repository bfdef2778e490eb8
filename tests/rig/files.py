# SPDX-License-Identifier: MIT
"""Files that a person picks, and a guest then has."""


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, content):
    with open(path, "wb") as f:
        f.write(content)


def opened(env, path, client=None, **options):
    """The person picks path in an OpenFile dialog; the guest's path of it."""
    request = (client or env.client()).open_file(**options)
    env.dialog().pick(path)
    return request.path_of_one()


def saved(env, path, **options):
    request = env.client().save_file(**options)
    env.dialog().pick(path)
    return request.path_of_one()


def refused(function, *arguments):
    """The errno with which the guest is refused."""
    try:
        function(*arguments)
    except OSError as e:
        return e.errno
    raise AssertionError(f"{function.__name__}{arguments} was not refused")
