"""Runs a program where a directory is a network filesystem in trouble: fuse_mount.py PATH ERROR -- PROGRAM ARGUMENT...

It is FUSE, mounted as `nfs1:/srv/app`. Its server says ERROR (a name of errno, such as ESTALE) to everything but the greeting. If
ERROR is `silence` it takes every request and answers none: who waits cannot even be killed. Start it below `unshare -m`, as
root: this host sees nothing of it. The server ends with the program, and then nobody waits any longer.
"""
import ctypes
import errno
import os
import signal
import struct
import sys

PR_SET_PDEATHSIG = 1
INIT, FORGET, BATCH_FORGET = 26, 2, 42

libc = ctypes.CDLL(None, use_errno=True)


def mount(path):
    fuse = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"nfs1:/srv/app", path.encode(), b"fuse", 0, options) != 0:
        raise OSError(ctypes.get_errno(), f"mount at {path}")
    return fuse


def serve(fuse, error):
    """Until it is unmounted."""
    while True:
        try:
            request = os.read(fuse, 1 << 20)
        except OSError:
            return
        operation, unique = struct.unpack_from("=4xIQ", request)
        if operation in (FORGET, BATCH_FORGET):
            continue
        if operation == INIT:
            body = struct.pack("=IIIIHHIIHHI7I", 7, 31, 0, 0, 12, 10, 4096, 1, 1, 0, 0, *[0] * 7)
            os.write(fuse, struct.pack("=IiQ", 16 + len(body), 0, unique) + body)
        elif error is not None:
            os.write(fuse, struct.pack("=IiQ", 16, -error, unique))


def main():
    path, error = sys.argv[1:3]
    command = sys.argv[sys.argv.index("--") + 1:]
    fuse = mount(path)
    if os.fork() == 0:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        serve(fuse, None if error == "silence" else getattr(errno, error))
        os._exit(0)
    os.close(fuse)
    os.execv(command[0], command)


main()
