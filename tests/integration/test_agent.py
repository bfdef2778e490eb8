# SPDX-License-Identifier: MIT
"""sbagent carries bytes between a program and the host, and keeps to its limits."""

import array
import contextlib
import hashlib
import os
import random
import re
import select
import socket
import threading
import time

from rig import boundaries
from rig.agent import (LONG, OK, Host, client, connect, ended, read_exactly, read_to_end, start,
                       start_pair)
from rig.processes import scale


def test_greeting_line(env):
    """the host is told the program's uid and pid, and gets nothing before it answers"""
    agent, host = start_pair(env)
    program = env.closing(client(agent.socket, first=b"\0early"))
    stream = env.closing(host.socket.accept()[0])
    line = stream.recv(4096)
    assert line == b"SIDEBUS/1 CLIENT uid=%d pid=%d\n" % (os.getuid(), os.getpid()), line
    stream.settimeout(0.2)
    try:
        assert False, f"before the answer: {stream.recv(4096)}"
    except socket.timeout:
        pass
    stream.settimeout(LONG)
    stream.sendall(OK)
    assert read_exactly(stream, 6) == b"\0early"


def test_answer_is_stripped(env):
    """exactly the host's line is taken off, however it arrives"""
    agent, host = start_pair(env)
    token = b"SIDEBUS/1 OK token=0123456789abcdef0123456789abcdef\n"
    for answer in (token, OK + b"\nOK\n" + OK, OK + b"\0" * 5000):
        program, stream = connect(env, agent, host, answer)
        stream.close()
        assert read_to_end(program) == answer.split(b"\n", 1)[1]
    program = env.closing(client(agent.socket))
    stream = env.closing(host.accept(b""))
    for i in range(len(token)):
        stream.sendall(token[i:i + 1])
        time.sleep(0.001)
    stream.sendall(b"rest")
    assert read_exactly(program, 4) == b"rest"


def send_odd(s, data, seed):
    """All of data, in pieces of odd sizes, some of one byte."""
    sizes, at = random.Random(seed), 0
    while at < len(data):
        n = sizes.choice((1, 7, 4093, 65537, 300001))
        s.sendall(data[at:at + n])
        at += n
    s.shutdown(socket.SHUT_WR)


def receive_odd(s, seed, result):
    sizes, digest, n = random.Random(seed), hashlib.sha256(), 0
    while data := s.recv(sizes.choice((1, 13, 5003, 70001))):
        digest.update(data)
        n += len(data)
    result[seed] = (n, digest.hexdigest())


def test_bytes_exact(env):
    """20 MB of random bytes each way at once, in odd pieces, arrive unchanged"""
    agent, host = start_pair(env)
    program, stream = connect(env, agent, host)
    up, down = os.urandom(20_000_000), os.urandom(20_000_001)
    result = {}
    threads = [threading.Thread(target=send_odd, args=[program, up, 1]),
               threading.Thread(target=send_odd, args=[stream, down, 2]),
               threading.Thread(target=receive_odd, args=[stream, 3, result]),
               threading.Thread(target=receive_odd, args=[program, 4, result])]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert result[3] == (len(up), hashlib.sha256(up).hexdigest())
    assert result[4] == (len(down), hashlib.sha256(down).hexdigest())


def resident(pid):
    """KiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+) kB", f.read())[1])


def fill(s):
    """Writes until nothing goes any more for a while; how much went."""
    block, n = b"x" * 65536, 0
    s.settimeout(0.5)
    with contextlib.suppress(socket.timeout):
        while True:
            n += s.send(block)
            assert n < 64 << 20, "64 MiB went to a reader that reads nothing"
    s.settimeout(LONG)
    return n


def test_back_pressure(env):
    """readers that stop hold up their own stream, cost bounded memory, and lose nothing"""
    agent, host = start_pair(env)
    before = resident(agent.process.pid)
    stuck = []
    for i in range(10):
        program, stream = connect(env, agent, host)
        writer, reader = (program, stream) if i % 2 else (stream, program)
        stuck.append((writer, reader, fill(writer)))
    program, stream = connect(env, agent, host)
    for i in range(100):
        program.sendall(b"ping%d" % i)
        assert read_exactly(stream, len(b"ping%d" % i)) == b"ping%d" % i
        stream.sendall(b"pong")
        assert read_exactly(program, 4) == b"pong"
    grown = resident(agent.process.pid) - before
    # one buffer each, the shared one, and what malloc and a sanitizer add
    assert grown < (11 * 256 + 4096) * scale(), f"{grown} KiB more"
    for writer, reader, n in stuck:
        writer.shutdown(socket.SHUT_WR)
        assert len(read_to_end(reader)) == n


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", "rb") as f:
        fields = f.read().rsplit(b")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_idle_is_idle(env):
    """stuck, half closed and abandoned streams do not make the agent spin"""
    agent, host = start_pair(env)
    program, stream = connect(env, agent, host)
    fill(program)
    program.close()  # gone, with much of it undelivered
    program, stream2 = connect(env, agent, host)
    fill(stream2)
    program.shutdown(socket.SHUT_WR)
    program, _ = connect(env, agent, host)
    program.shutdown(socket.SHUT_WR)
    time.sleep(0.2)
    before = cpu_ticks(agent.process.pid)
    time.sleep(1)
    assert cpu_ticks(agent.process.pid) - before <= 5
    assert len(read_to_end(stream)) > 0


def test_half_close(env):
    """the end of one direction is passed on, and the other goes on"""
    agent, host = start_pair(env)
    for first in (0, 1):
        pair = connect(env, agent, host)
        a, b = pair[first], pair[1 - first]
        a.sendall(b"last words")
        a.shutdown(socket.SHUT_WR)
        assert read_to_end(b) == b"last words"
        for _ in range(3):
            b.sendall(b"x" * 100_000)
            assert read_exactly(a, 100_000) == b"x" * 100_000
        b.close()
        assert ended(a)


def test_half_close_limit(env):
    """one direction does not outlive the other for ever when nothing comes"""
    agent, host = start_pair(env, "--half-close-timeout", "0.5")
    program, stream = connect(env, agent, host)
    program.shutdown(socket.SHUT_WR)
    assert read_to_end(stream) == b""
    for _ in range(4):  # each byte is a reason to wait on
        time.sleep(0.3)
        stream.sendall(b".")
    assert read_to_end(program) == b"...."
    assert ended(stream)


def test_client_gone(env):
    """what a program said before it left arrives, then the end"""
    agent, host = start_pair(env)
    program, stream = connect(env, agent, host)
    program.sendall(b"x" * 300_000)
    program.close()
    assert read_to_end(stream) == b"x" * 300_000


def test_host_stream_gone(env):
    """what the host said before it left arrives, then the end"""
    agent, host = start_pair(env)
    program, stream = connect(env, agent, host)
    stream.sendall(b"x" * 300_000)
    stream.close()
    assert read_to_end(program) == b"x" * 300_000


def test_client_gone_unread(env):
    """a program that leaves with much unread does not hold the host's stream"""
    agent, host = start_pair(env)
    program, stream = connect(env, agent, host)
    fill(stream)
    program.close()
    assert ended(stream)


def test_descriptors_dropped(env):
    """a descriptor that a program sends is closed, the bytes beside it arrive"""
    agent, host = start_pair(env)
    program, stream = connect(env, agent, host)
    reader, writer = os.pipe()
    program.sendmsg([b"with fd"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                    array.array("i", [writer]))])
    os.close(writer)
    assert read_exactly(stream, 7) == b"with fd"
    assert os.read(reader, 1) == b""
    os.close(reader)
    env.hostile(boundaries.AGENT)


def test_200_at_once(env):
    """200 programs at once, each with its own stream"""
    agent, host = start_pair(env)
    programs = [env.closing(client(agent.socket)) for _ in range(200)]
    for i, program in enumerate(programs):
        program.sendall(b"%06d" % i)
    streams = [env.closing(host.accept()) for _ in range(200)]
    for stream in streams:
        stream.sendall(b"you are " + read_exactly(stream, 6))
    for i, program in enumerate(programs):
        assert read_exactly(program, 14) == b"you are %06d" % i


def test_busy_host(env):
    """a host with a short queue gets all of them, a little later"""
    host = env.closing(Host(os.path.join(env.tmp, "h"), backlog=1))
    agent, _ = start(env, "--connect-timeout", "60")
    programs = [env.closing(client(agent.socket)) for _ in range(30)]
    for program in programs:
        program.sendall(b"?")
    for _ in programs:
        stream = env.closing(host.accept())
        assert read_exactly(stream, 1) == b"?"
        stream.sendall(b"!")
    for program in programs:
        assert read_exactly(program, 1) == b"!"


def test_limit_of_one_user(env):
    """one user gets 256 connections, and new ones when old ones end"""
    agent, host = start_pair(env)
    pairs = [connect(env, agent, host) for _ in range(256)]
    assert ended(env.closing(client(agent.socket, first=b"")))
    agent.wait_log("256 connections already")
    pairs[7][0].close()
    assert ended(pairs[7][1])
    program, stream = connect(env, agent, host)
    program.sendall(b"in")
    assert read_exactly(stream, 2) == b"in"


def test_silent_programs(env):
    """a program that says nothing costs the host nothing, and goes first when there is no more room"""
    agent, host = start_pair(env)
    program, stream = connect(env, agent, host)
    silent = [env.closing(client(agent.socket, first=b"")) for _ in range(400)]
    host.socket.settimeout(0.3)
    try:
        assert False, host.socket.accept()
    except socket.timeout:
        host.socket.settimeout(LONG)
    assert all(ended(s) for s in silent[:145])
    assert len(select.select(silent[145:], [], [], 0)[0]) == 0
    newcomer, its_stream = connect(env, agent, host)
    for a, b in ((program, stream), (newcomer, its_stream)):
        a.sendall(b"here")
        assert read_exactly(b, 4) == b"here"
    assert ended(silent[145])
    silent[-1].sendall(b"\0")
    host.accept().close()


def test_some_hung_up(env):
    """a host that closes one stream without an answer is not down: nobody else waits for long"""
    agent, host = start_pair(env)
    connect(env, agent, host)
    for _ in range(3):
        program = env.closing(client(agent.socket))
        for _ in range(5):
            host.socket.accept()[0].close()
        stream = env.closing(host.accept())  # it is tried again, and so it gets there
        program.sendall(b"here")
        assert read_exactly(stream, 4) == b"here"
    assert "does not answer" not in agent.log(), agent.log()


def test_nothing_leaks(env):
    """1500 programs one after another, more than the agent may have descriptors"""
    agent, host = start_pair(env)
    for i in range(1500):
        program = client(agent.socket)
        stream = host.accept()
        (program if i % 2 else stream).close()
        assert ended(stream if i % 2 else program)
        program.close()
        stream.close()
