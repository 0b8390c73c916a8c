"""The witness: asks every few milliseconds each server whether it takes writes, by a way no fault of the network touches, and says
so when two do at one instant.

    witness.py postgres|mariadb '{"one": {...}, "two": {...}}' FILE     where each is what the library wants to connect

What it can swear to: between two answers `yes` of a server, with no other answer between them, it took writes all the time from the
end of the first to the beginning of the last. Two servers took writes at one instant if two such spans overlap. A line of JSON for
each overlap, and once a second one with how often each server answered.
"""
import json
import sys
import threading
import time

PACE_S = 0.005
QUESTION = {"postgres": "SELECT NOT pg_is_in_recovery()", "mariadb": "SELECT @@global.read_only = 0"}


class Span:
    """When a server certainly took writes, last."""

    def __init__(self):
        self.begin, self.end = None, None

    def yes(self, asked, answered):
        if self.begin is None:
            self.begin, self.end = answered, answered
        self.end = max(self.end, asked)

    def no(self):
        self.begin, self.end = None, None


def overlap(a, b):
    if a.begin is None or b.begin is None:
        return None
    begin, end = max(a.begin, b.begin), min(a.end, b.end)
    return (begin, end) if end > begin else None


class Witness:
    def __init__(self, kind, servers, out):
        self.kind, self.servers, self.out = kind, servers, out
        self.lock = threading.Lock()
        self.spans = {name: Span() for name in servers}
        self.answers = dict.fromkeys(servers, 0)
        self.told_at = 0.0

    def connect(self, where):
        if self.kind == "postgres":
            import psycopg2
            connection = psycopg2.connect(**where, connect_timeout=2, sslmode="disable")
            connection.autocommit = True
            return connection
        import pymysql
        return pymysql.connect(**where, connect_timeout=2, autocommit=True)

    def watch(self, name, where):
        cursor = None
        while True:
            asked = time.time()
            try:
                if cursor is None:
                    cursor = self.connect(where).cursor()
                    asked = time.time()
                cursor.execute(QUESTION[self.kind])
                is_yes = bool(cursor.fetchone()[0])
            except Exception:  # down, or being made anew
                cursor, is_yes = None, False
            self.note(name, is_yes, asked, time.time(), cursor is not None)
            time.sleep(PACE_S)

    def note(self, name, is_yes, asked, answered, is_answer):
        with self.lock:
            self.answers[name] += is_answer
            if not is_yes:
                self.spans[name].no()
                return
            self.spans[name].yes(asked, answered)
            for other, span in self.spans.items():
                both = overlap(self.spans[name], span) if other != name else None
                if both and answered - self.told_at > 0.1:
                    self.told_at = answered
                    self.tell({"two": sorted([name, other]), "from": both[0], "until": both[1]})

    def tell(self, line):
        self.out.write(json.dumps(line) + "\n")

    def run(self):
        for name, where in self.servers.items():
            threading.Thread(target=self.watch, args=(name, where), daemon=True).start()
        while True:
            time.sleep(1)
            with self.lock:
                self.tell({"at": time.time(), "answers": self.answers})
                self.answers = dict.fromkeys(self.servers, 0)


if __name__ == "__main__":
    with open(sys.argv[3], "a", buffering=1, encoding="ascii") as out:
        Witness(sys.argv[1], json.loads(sys.argv[2]), out).run()
