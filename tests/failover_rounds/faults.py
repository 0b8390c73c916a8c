"""What befalls the primary, its host, the network or the store: one function each way."""
import os
import signal
import time
from dataclasses import dataclass, field
from typing import Callable

from network_site import HOLD_DOWN

QUIET_S = 9.0  # long after which whoever meant to act would have acted


@dataclass
class Fault:
    name: str
    begin: Callable  # (site): from now on it is so
    end: Callable = lambda site: None  # (site): it is mended, but for a server that was switched off
    must_move: bool = True  # another server is to become primary; else nothing at all may be done
    lasts_s: float = QUIET_S  # one after which nothing may be done
    kinds: tuple = ("postgres", "mariadb")
    is_for: Callable = field(default=lambda pair: True)


# ---- faults after which the standby is to be promoted

def kill(site):
    os.kill(site.old.pid, signal.SIGKILL)  # its parent process only: what it started is not told


def freeze(site):
    site.old.hang()


def cut(site):
    site.host_of(site.primary).cut()


def deafen(site):
    site.host_of(site.primary).deafen()


def mute(site):
    site.host_of(site.primary).mute()


def heal(site):
    site.host_of(site.primary).heal()


def fill(site):
    site.old.fill()
    for _ in range(40):  # it writes on, until there is no room for what it must write
        try:
            site.old.sql("SELECT pg_switch_wal(), pg_logical_emit_message(true, 'rounds', 'x')")
        except RuntimeError:
            return
    raise AssertionError("the disk is full and the server does not mind")


def end_host(site):
    site.end_host(site.primary)


def begin_host(site):
    site.begin_host(site.primary)


def kill_without_store(site):
    """Nothing may be done while the store is away; it comes back, and then it is done."""
    away(site)
    time.sleep(1.5)
    before = site.switched()
    kill(site)
    time.sleep(QUIET_S)
    assert site.switched() == before, "something was done without the store"
    back(site)
    site.fault_at = time.time()


# ---- faults after which nothing may be done

def lose_sight(site):
    """One agent does not reach the primary; the others do."""
    site.hosts[2].lose_path(site.old.host, site.old.port)


def see_again(site):
    site.hosts[2].heal()


def lose_clients(site):
    site.client.lose_path(site.old.host, site.old.port)


def clients_back(site):
    site.client.heal()


def away(site):
    for member in site.etcd.members[:2]:
        member.hang()


def back(site):
    for member in site.etcd.members[:2]:
        member.resume()


def fall_behind(site):
    """The standby is cut off while rows are written, more than may be lost; then the primary is gone."""
    standby = site.host_of(site.other(site.primary))
    standby.lose_path(site.old.host, site.old.port, user=site.old.runs_as)
    time.sleep(8)
    kill(site)


def kill_and_start(site):
    site.host_of(site.other(site.primary)).heal()
    site.old.kill()
    site.old.start()


FAULTS = [
    Fault("kill -9 of the server's parent process", kill),
    Fault("freeze of all its processes", freeze),
    Fault("host cut off, both ways", cut, heal),
    Fault("host hears nothing, is heard", deafen, heal),
    Fault("host hears, is not heard", mute, heal),
    Fault("power of the whole host", end_host, begin_host),
    Fault("disk full", fill, kinds=("postgres",)),
    Fault("kill -9 while the store is away, then back", kill_without_store),
    Fault("cut for less than hold_down", cut, heal, must_move=False, lasts_s=HOLD_DOWN * 0.6),
    Fault("one agent does not reach the primary", lose_sight, see_again, must_move=False),
    Fault("clients do not reach the primary", lose_clients, clients_back, must_move=False),
    Fault("store away", away, back, must_move=False),
    Fault("standby cut off beyond the bound, then kill -9", fall_behind, kill_and_start, must_move=False, kinds=("postgres",),
          is_for=lambda pair: not pair.is_synchronous),
]


def faults_for(pair):
    return [f for f in FAULTS if pair.kind in f.kinds and f.is_for(pair)]
