"""Writes nonsense over everything that a pool shares with front, until it is killed.

scribble.py SECONDS SEED PID...: PIDs are processes of the site.  Their segments and their bell are
opened through /proc, as native code in one of the site's workers has them mapped.
Prints how many writes there were.
"""
import glob
import mmap
import os
import random
import struct
import sys
import time

# src/ring/layout.h
SLOTS, REQUEST, BODY, RESPONSE, PAGE = 32, 128 * 1024, 64 * 1024, 256 * 1024, 4096
SLOT = PAGE + REQUEST + BODY + RESPONSE
ODD = [0, 1, 2, 3, 7, 8, 16, 24, 4096, 32768, 32776, 65536, 65537, 262144, 262145, 0x7fffffff, 0x80000000, 0xffffffff]


def shared_memory(pids):
    """Every segment and bell of these processes, mapped once each."""
    found = {}
    for pid in pids:
        for path in glob.glob(f'/proc/{pid}/map_files/*'):
            try:
                name = os.readlink(path)
                if not name.startswith(('/memfd:segment', '/memfd:bell')):
                    continue
                inode = os.stat(path).st_ino
                if inode in found:
                    continue
                fd = os.open(path, os.O_RDWR)
                try:
                    found[inode] = mmap.mmap(fd, os.fstat(fd).st_size)
                finally:
                    os.close(fd)
            except OSError:
                pass  # it has just ended
    return list(found.values())


def word(dice):
    return struct.pack('<I', dice.choice(ODD) if dice.random() < 0.7 else dice.getrandbits(32))


def frame(dice):
    """Looks like an answer, nearly."""
    head = b'Status: 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\n'
    size = dice.choice([len(head), len(head) + 8, 0, 32768, 0xffffffff])
    return struct.pack('<II', dice.randint(0, 6), size) + head + struct.pack('<II', dice.randint(0, 6), dice.choice(ODD)) + b'x' * 8


def scribble(memory, dice):
    if len(memory) < SLOT:  # the bell
        at = dice.randrange(0, 4096 if dice.random() < 0.5 else len(memory) - 4) & ~3
        memory[at:at + 4] = word(dice)
        return
    slot = PAGE + SLOT * min(dice.randrange(0, SLOTS), dice.randrange(0, 4))  # low slots are in use
    kind = dice.randrange(0, 8)
    if kind == 0:    # anywhere at all
        size = dice.choice([1, 4, 64, 4096])
        at = dice.randrange(0, len(memory) - size)
        memory[at:at + size] = dice.randbytes(size)
    elif kind == 1:  # the segment's head and the states
        at = dice.randrange(0, 64 * 3 + 8 * SLOTS + 64) & ~3
        memory[at:at + 4] = word(dice)
    elif kind == 2:  # a state that could be
        at = 192 + 8 * dice.randrange(0, SLOTS)
        memory[at:at + 8] = struct.pack('<II', dice.randint(0, 6) | dice.randint(0, 3) << 8, dice.choice(ODD))
    elif kind in (3, 4):  # counters of a slot
        at = slot + dice.choice([0, 4, 8, 64, 68, 72, 76, 80, 84])
        memory[at:at + 4] = word(dice)
    elif kind == 5:  # frames
        at = slot + PAGE + REQUEST + BODY + 8 * dice.randrange(0, 64)
        text = frame(dice)
        memory[at:at + len(text)] = text
    elif kind == 6:  # the request, while a worker reads it
        at = slot + PAGE + dice.randrange(0, 4096)
        memory[at:at + 8] = dice.randbytes(8)
    else:            # a whole slot
        memory[slot:slot + 4096] = dice.randbytes(4096)


def main():
    until, dice = time.monotonic() + float(sys.argv[1]), random.Random(int(sys.argv[2]))
    memories = shared_memory(sys.argv[3:])
    count = 0
    while memories and time.monotonic() < until:
        # Now and then a moment's peace, so that requests get into the middle of it.
        for _ in range(dice.choice([1, 10, 1000])):
            scribble(dice.choice(memories), dice)
            count += 1
        time.sleep(dice.choice([0, 0, 0.001, 0.01]))
    print(count)


main()
