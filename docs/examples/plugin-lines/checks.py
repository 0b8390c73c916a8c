#!/usr/bin/env python3
"""Checks for vitald that stay: one process answers the requests of many checks (exec with protocol: lines).

A request is one line of JSON on standard input, an answer one line on standard output, in any order:

    {"id": 7, "deadline_ms": 1900, "attempt": 0, "arguments": {"check": "backlog", "directory": "/var/spool/orders"}}
    {"id": 7, "verdict": "warn", "text": "812 files wait", "measures": {"files": {"value": 812, "unit": "", "warn": 500}}}

A new check is a function below that returns an answer. Each runs in a thread, so that a slow one holds up no other;
one that overruns its deadline is reported by vitald, and what it says later is counted and thrown away.
"""
import concurrent.futures
import json
import os
import sys
import threading
import time

writing = threading.Lock()


def backlog(arguments):
    """How many files wait in a directory."""
    count = len(os.listdir(arguments["directory"]))
    warn, fail = int(arguments.get("warn", 500)), int(arguments.get("fail", 5000))
    verdict = "fail" if count > fail else "warn" if count > warn else "pass"
    return {"verdict": verdict, "text": f"{count} files wait",
            "measures": {"files": {"value": count, "warn": warn, "fail": fail}}}


def freshness(arguments):
    """How old a file is: something should write it now and then."""
    age = time.time() - os.stat(arguments["file"]).st_mtime
    limit = float(arguments.get("max_age_s", 3600))
    return {"verdict": "pass" if age <= limit else "fail", "text": f"written {age:.0f} s ago",
            "measures": {"age": {"value": age, "unit": "s", "fail": limit}}}


CHECKS = {"backlog": backlog, "freshness": freshness}


def answer(request):
    arguments = request["arguments"]
    try:
        said = CHECKS[arguments["check"]](arguments)
    except KeyError as missing:
        said = {"verdict": "unknown", "cause": "config", "text": f"there is no check or argument {missing}"}
    except Exception as error:  # of one check; the others go on
        said = {"verdict": "unknown", "cause": "agent", "text": f"{type(error).__name__}: {error}"}
    with writing:
        sys.stdout.write(json.dumps({"id": request["id"], **said}) + "\n")
        sys.stdout.flush()


def main():
    with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
        for line in sys.stdin:  # ends when vitald closes it
            pool.submit(answer, json.loads(line))


if __name__ == "__main__":
    main()
