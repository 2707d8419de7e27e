"""What root can do to a running process: make it make a system call, take a copy of its descriptor.

Tests use it in place of a hole in the program: whoever has taken a process over can do this much.
"""
import ctypes
import os
import platform
import signal
import subprocess

LIBC = ctypes.CDLL(None, use_errno=True)
SUPPORTED = platform.machine() == 'x86_64'
PTRACE_SINGLESTEP, PTRACE_GETREGS, PTRACE_SETREGS, PTRACE_ATTACH, PTRACE_DETACH = 9, 12, 13, 16, 17
SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 434, 438
WALL = 0x40000000


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in (
        'r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss '
        'fs_base gs_base ds es fs gs').split()]


def _ptrace(request, pid, address=0, data=0):
    LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    LIBC.ptrace.restype = ctypes.c_long
    if LIBC.ptrace(request, pid, address, data) < 0:
        raise OSError(ctypes.get_errno(), f'ptrace({request})')


class Thread:
    """A stopped thread of another process that sleeps in a system call; let go at the end."""

    def __init__(self, tid):
        self.tid, self.ended = tid, None

    def __enter__(self):
        _ptrace(PTRACE_ATTACH, self.tid)
        self._wait()
        self.before = self._registers()
        return self

    def __exit__(self, *_):
        if self.ended is None:
            _ptrace(PTRACE_SETREGS, self.tid, 0, ctypes.addressof(self.before))
            _ptrace(PTRACE_DETACH, self.tid)

    def _wait(self):
        _, status = os.waitpid(self.tid, WALL)
        if os.WIFSTOPPED(status):
            return os.WSTOPSIG(status)
        self.ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)
        return None

    def _registers(self):
        registers = Registers()
        _ptrace(PTRACE_GETREGS, self.tid, 0, ctypes.addressof(registers))
        return registers

    def put(self, data):
        """Writes bytes below the thread's stack; returns their address."""
        address = (self.before.rsp - 4096 - len(data)) & ~15
        with open(f'/proc/{self.tid}/mem', 'r+b', buffering=0) as memory:
            memory.seek(address)
            memory.write(data)
        return address

    def call(self, number, *arguments):
        """Makes the system call; returns its result (negative: minus errno), None if that ended it."""
        registers = Registers.from_buffer_copy(self.before)
        # It sleeps in a system call: the instruction that made it is just behind.
        registers.rip = self.before.rip - 2
        registers.rax, registers.orig_rax = number, ctypes.c_ulonglong(-1).value
        for name, value in zip(('rdi', 'rsi', 'rdx', 'r10', 'r8', 'r9'), arguments):
            setattr(registers, name, value & (2**64 - 1))
        _ptrace(PTRACE_SETREGS, self.tid, 0, ctypes.addressof(registers))
        while True:
            _ptrace(PTRACE_SINGLESTEP, self.tid)
            stopped = self._wait()
            if self.ended is not None:
                return None
            if stopped == signal.SIGTRAP:
                return ctypes.c_longlong(self._registers().rax).value


def take_descriptor(pid, number):
    """A copy of another process's descriptor."""
    pidfd = os.pidfd_open(pid)
    try:
        fd = LIBC.syscall(SYS_PIDFD_GETFD, pidfd, number, 0)
        if fd < 0:
            raise OSError(ctypes.get_errno(), 'pidfd_getfd')
        return fd
    finally:
        os.close(pidfd)


def peers_of_sockets():
    """inode -> inode of the other end, for every connected Unix socket."""
    rows = subprocess.run(['ss', '-xaHn'], capture_output=True, text=True, check=True).stdout
    fields = [row.split() for row in rows.splitlines()]
    return {int(f[5]): int(f[7]) for f in fields if len(f) > 7 and f[5].isdigit() and f[7].isdigit()}


def sockets_of(pid):
    """inode -> descriptor number."""
    found = {}
    for number in os.listdir(f'/proc/{pid}/fd'):
        try:
            target = os.readlink(f'/proc/{pid}/fd/{number}')
        except OSError:
            continue
        if target.startswith('socket:['):
            found[int(target[8:-1])] = int(number)
    return found


def channel_between(pid, other):
    """The descriptor with which `pid` talks to `other`."""
    peers, theirs = peers_of_sockets(), sockets_of(other)
    found = [number for inode, number in sockets_of(pid).items() if peers.get(inode) in theirs]
    assert len(found) == 1, found
    return found[0]
