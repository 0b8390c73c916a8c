"""Documents as `drbdsetup status --json` of drbd-utils 9 prints them: its keys, its spaces after some values, its 100.00.

    printed([resource("r0", peers=[peer("b", connection="Connecting")])])
"""
import json


def peer(name, connection="Connected", role="Secondary", replication="Established", disk="UpToDate", out_of_sync=0, percent=100.0):
    return {"peer-node-id": 1, "name": name, "connection-state": connection, "congested": False, "peer-role": role, "tls": False,
            "ap-in-flight": 0, "rs-in-flight": 0,
            "paths": [{"this_host": {"address": "10.0.0.1", "port": 7789, "family": "ipv4"},
                       "remote_host": {"address": "10.0.0.2", "port": 7789, "family": "ipv4"}, "established": connection == "Connected"}],
            "peer_devices": [{"volume": 0, "replication-state": replication if connection == "Connected" else "Off",
                              "peer-disk-state": disk if connection == "Connected" else "DUnknown", "peer-client": False,
                              "resync-suspended": "no", "received": 4096, "sent": 0, "out-of-sync": out_of_sync, "pending": 0, "unacked": 0,
                              "has-sync-details": False, "has-online-verify-details": False, "percent-in-sync": percent}]}


def resource(name, role="Secondary", disk="UpToDate", quorum=True, client=False, peers=(), **more):
    return {"name": name, "node-id": 0, "role": role, "suspended": False, "suspended-user": False, "suspended-no-data": False,
            "suspended-fencing": False, "suspended-quorum": False, "force-io-failures": False, "write-ordering": "flush",
            "devices": [{"volume": 0, "minor": 0, "disk-state": disk, "client": client, "open": role == "Primary", "quorum": quorum,
                         "size": 1048508, "read": 8, "written": 4096, "al-writes": 1, "bm-writes": 0, "upper-pending": 0,
                         "lower-pending": 0}],
            "connections": list(peers), **more}


def printed(resources):
    text = json.dumps(resources, indent=2).replace('"connection-state": "Connected",', '"connection-state": "Connected", ')
    return text.replace('"percent-in-sync": 100.0', '"percent-in-sync": 100.00').replace("    ]\n", "    ] \n")
