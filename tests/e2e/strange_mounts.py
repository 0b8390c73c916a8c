"""Runs a program where two directories are strange: strange_mounts.py HANGING FULL -- PROGRAM ARGUMENT...

HANGING is a file system whose server never answers (FUSE): whoever touches it waits. FULL has no room left. Start it below
`unshare -m --propagation private`, as root: this host sees neither.
"""
import ctypes
import os
import pathlib
import sys

libc = ctypes.CDLL(None, use_errno=True)


def mount(source, target, kind, options):
    if libc.mount(source.encode(), target.encode(), kind.encode(), 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), f"mount {kind} at {target}")


hanging, full = sys.argv[1:3]
command = sys.argv[sys.argv.index("--") + 1:]
fuse = os.open("/dev/fuse", os.O_RDWR)
os.set_inheritable(fuse, True)  # nobody reads it; closing it would end the hanging
mount("hanging", hanging, "fuse", f"fd={fuse},rootmode=40000,user_id=0,group_id=0")
mount("full", full, "tmpfs", "size=4k")
pathlib.Path(full, "filler").write_bytes(b"x" * 4096)
os.execv(command[0], command)
