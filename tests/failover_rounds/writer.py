"""The client: writes 1, 2, 3, ... where clients are sent, and adds a line to a file for each row that was acknowledged:
`number begun acknowledged`, times in seconds of the wall clock. A program of its own, so that it can live in the client's network.

    writer.py postgres|mariadb '{"host": ..., "port": ..., "user": ..., "password": ..., "database": ...}' FILE PACE_S
"""
import json
import sys
import time


def connected(kind, where):
    if kind == "postgres":
        import psycopg2
        connection = psycopg2.connect(**where, connect_timeout=2, sslmode="disable")
        connection.autocommit = True
        return connection
    import pymysql
    return pymysql.connect(**where, connect_timeout=2, read_timeout=2, write_timeout=2, autocommit=True)


def main():
    kind, where, path, pace = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3], float(sys.argv[4])
    number, connection = 0, None
    with open(path, "a", buffering=1, encoding="ascii") as acknowledged:
        while True:
            number += 1  # never the same twice: a row without an answer may be there or not
            try:
                if connection is None:
                    connection = connected(kind, where)
                begun = time.time()
                connection.cursor().execute("INSERT INTO numbers VALUES (%s, %s)", (number, "x" * 100))
                acknowledged.write(f"{number} {begun:.4f} {time.time():.4f}\n")
            except Exception:  # whatever it is, the row was not acknowledged
                connection = None
                time.sleep(0.02)
            time.sleep(pace)


if __name__ == "__main__":
    main()
