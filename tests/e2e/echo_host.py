#!/usr/bin/python3
"""A host at the other end of a line of our making: answers ICMP echoes for 10.9.0.2 and fd09::2 over a tun device, each after
a delay, and leaves some out. To be run in a network namespace of its own, as root:

    unshare -n echo_host.py --delays 0,5 --lose 3 -- COMMAND...     # milliseconds in turn; every third is lost
"""
import argparse
import ctypes
import fcntl
import os
import signal
import struct
import subprocess
import time


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def answer_to(packet):
    """The IPv4 or IPv6 packet that answers an echo; nothing for anything else."""
    if packet[0] >> 4 == 4 and packet[9] == 1 and packet[20] == 8:
        body = b"\0\0\0\0" + packet[24:]
        body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
        return packet[:12] + packet[16:20] + packet[12:16] + body
    if packet[0] >> 4 == 6 and packet[6] == 58 and packet[40] == 128:
        source, target = packet[24:40], packet[8:24]
        body = b"\x81\0\0\0" + packet[44:]
        pseudo = source + target + struct.pack("!II", len(body), 58) + body
        return packet[:8] + source + target + body[:2] + struct.pack("!H", checksum(pseudo)) + body[4:]
    return None


def serve(tun, delays, lose):
    number = 0
    while True:
        packet = os.read(tun, 65536)
        reply = answer_to(packet)
        if reply is None:
            continue
        number += 1
        if lose and number % lose == 0:
            continue
        delay = delays[number % len(delays)] / 1000
        if delay:
            time.sleep(delay)
        os.write(tun, reply)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--delays", default="0")
    parser.add_argument("--lose", type=int, default=0)
    parser.add_argument("--closed", action="store_true", help="leave ping_group_range as it is in a new namespace")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH", b"tun0", 0x1001))  # TUNSETIFF: IFF_TUN | IFF_NO_PI
    for command in ("ip link set lo up", "ip addr add 10.9.0.1/24 dev tun0", "ip -6 addr add fd09::1/64 dev tun0 nodad",
                    "ip link set tun0 up"):
        subprocess.run(command.split(), check=True, capture_output=True)
    if not given.closed:
        with open("/proc/sys/net/ipv4/ping_group_range", "w", encoding="ascii") as allowed:
            allowed.write("0 2147483647")
    here = os.getpid()
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: ends with the command
        if os.getppid() == here:
            serve(tun, [float(d) for d in given.delays.split(",")], given.lose)
        os._exit(0)
    os.close(tun)
    os.execvp(given.command[1], given.command[1:])


if __name__ == "__main__":
    main()
