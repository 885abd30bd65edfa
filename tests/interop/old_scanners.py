#!/usr/bin/env python3
"""Plays situations with tests-scan, issue-scan and tests-trigger of an existing deployment.

    old_scanners.py FOLDER < SITUATIONS

FOLDER is a checkout of theirs. A situation is a JSON object on a line: program, arguments, environment, folder. The first line
has what is the same for all: map (repository -> branch -> contexts) and allow (logins). Each is answered with a line:
exit, crash, out, err, messages. Nothing is sent to a broker: what would be published is in the answer.
"""

import contextlib
import io
import json
import os
import runpy
import sys
import traceback
from pathlib import Path

messages = []


class Channel:
    def basic_publish(self, exchange, routing_key, body, properties=None, **_more):
        assert exchange == ""
        messages.append({
            "queue": routing_key, "priority": properties and properties.priority, "body": json.loads(body),
        })


class Queue:
    """In the place of their connection to the broker."""

    def __init__(self, address, queues, *_more, **_named):
        self.address = address
        self.queue_counts = dict.fromkeys(queues, 0)
        self.channel = Channel()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass


def prepare(folder, test_map, allowed):
    sys.path.insert(0, str(folder))
    import lib
    from lib import distributed_queue, testmap
    lib.ALLOWLIST.clear()
    lib.ALLOWLIST.update(allowed)
    distributed_queue.DistributedQueue = Queue
    # What tests an image has follows from the map alone.
    for table in ("OSTREE_BUILD_IMAGE", "IMAGE_REFRESH_TRIGGERS"):
        getattr(testmap, table).clear()
    testmap.REPO_BRANCH_CONTEXT.clear()
    testmap.REPO_BRANCH_CONTEXT.update(test_map)


def code_of(ended, err):
    if isinstance(ended.code, str):
        err.write(ended.code + "\n")
        return 1
    return ended.code or 0


def play(folder, situation):
    messages.clear()
    out, err, crash, code = io.StringIO(), io.StringIO(), None, 0
    before = dict(os.environ)
    os.environ.update(situation["environment"])
    os.chdir(situation["folder"])
    sys.argv = [situation["program"], *situation["arguments"]]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_path(str(folder / situation["program"]), run_name="__main__")
        except SystemExit as ended:
            code = code_of(ended, err)
        except Exception as error:
            code, crash = 1, "".join(traceback.format_exception_only(error)).strip()
    os.environ.clear()
    os.environ.update(before)
    return {"exit": code, "crash": crash, "out": out.getvalue(), "err": err.getvalue(), "messages": list(messages)}


def main():
    folder = Path(sys.argv[1]).resolve()
    common = json.loads(sys.stdin.readline())
    prepare(folder, common["map"], common["allow"])
    # Theirs log to what standard error is when they are loaded: not to the one of a situation.
    import logging
    logging.basicConfig(level=logging.CRITICAL, handlers=[logging.NullHandler()])
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        print(json.dumps(play(folder, json.loads(line))), file=answers, flush=True)


main()
