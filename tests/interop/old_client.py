#!/usr/bin/env python3
"""Does with a broker what the programs of an existing deployment do, as the wire facts say; one step, then it ends.

    old_client.py HOST:PORT VHOST SECRETS-DIR declare
    old_client.py HOST:PORT VHOST SECRETS-DIR publish QUEUE [PRIORITY]   < BODY
    old_client.py HOST:PORT VHOST SECRETS-DIR take QUEUE [leave]
    old_client.py HOST:PORT VHOST SECRETS-DIR inspect
    old_client.py HOST:PORT VHOST SECRETS-DIR work API-URL TOKEN-FILE

The last one is a worker, which goes on until it is killed or something is wrong, as theirs do. Every answer is a JSON object on a line of its own. An error of the broker, such as 406, ends it with a traceback.
"""

import json
import os
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pika

QUEUES = {
    "webhook": None,
    "public": {"x-max-priority": 9},
    "rhel": {"x-max-priority": 9},
    "statistics": {"x-max-priority": 9, "x-single-active-consumer": True},
}


def connect(address, vhost, secrets):
    host, port = address.rsplit(":", 1)
    tls = ssl.create_default_context(cafile=secrets / "ca.pem")
    tls.check_hostname = False
    tls.load_cert_chain(secrets / "amqp-client.pem", secrets / "amqp-client.key")
    return pika.BlockingConnection(pika.ConnectionParameters(
        host, int(port), vhost, pika.credentials.ExternalCredentials(),
        ssl_options=pika.SSLOptions(tls, server_hostname=host)))


def declare(channel):
    for name, arguments in QUEUES.items():
        channel.queue_declare(name, durable=True, arguments=arguments)


def publish(channel, queue, priority=None):
    """Neither persistent nor confirmed; an event has a content type, a task a priority."""
    if priority is None:
        properties = pika.BasicProperties(content_type="application/json")
    else:
        properties = pika.BasicProperties(priority=int(priority))
    # Without --create: what does not exist is an error.
    channel.queue_declare(queue, passive=True)
    channel.basic_publish("", queue, sys.stdin.read().strip(), properties)


def take(channel, queue, leave=None):
    """A worker takes one message, is busy for a while and acknowledges at the end, or dies before."""
    declare(channel)
    got, properties, body = channel.basic_get(queue)
    if got is None:
        return
    channel.connection.process_data_events(0.2)
    show(queue, properties, body)
    if leave is None:
        channel.basic_ack(got.delivery_tag)


def inspect(channel):
    for name in ("public", "rhel", "statistics", "webhook"):
        for _ in range(channel.queue_declare(name, passive=True).method.message_count):
            _, properties, body = channel.basic_get(name)
            show(name, properties, body)


def work(channel, api, token_file):
    """Message by message: asked for, done, acknowledged. What it does not understand ends it."""
    declare(channel)
    token = Path(token_file).read_text().strip()
    threading.excepthook = crash
    while True:
        for queue in ("public", "rhel"):
            got, _, body = channel.basic_get(queue)
            if got is not None:
                break
        else:
            channel.connection.process_data_events(1)
            continue
        task = json.loads(body)
        step = command if "command" in task else job
        # For who wants to know whether it has something.
        busy = Path("older.busy")
        busy.touch()
        run = threading.Thread(target=step, args=(task["command" if step is command else "job"], api, token), daemon=True)
        run.start()
        while run.is_alive():
            channel.connection.process_data_events(0.2)
        channel.basic_ack(got.delivery_tag)
        busy.unlink()


def crash(it):
    sys.excepthook(it.exc_type, it.exc_value, it.exc_traceback)
    os._exit(1)


def command(words, _api, _token):
    subprocess.run(words, shell=isinstance(words, str), check=False)


def job(wanted, api, token):
    """In place of a container: the commit says how long its tests take and how they end. Nobody is asked whether it is done already."""
    repo, sha = wanted["repo"], wanted["sha"]

    def post(state, description):
        status = {"state": state, "context": wanted["context"], "description": f"{description} [older]"}
        ask(api, token, f"repos/{repo}/statuses/{sha}", json.dumps(status).encode())

    post("pending", "In progress")
    change = ask(api, token, f"repos/{repo}/contents/change?ref={sha}")
    settings = dict(line.split("=") for line in change.decode().splitlines() if "=" in line)
    time.sleep(4 * float(settings["pause"]))
    if settings["code"] == "0":
        post("success", "Success")
    else:
        post("failure", f"Container exited with code {settings['code']}")


def ask(api, token, path, body=None):
    """A forge that is away or limits us is asked again."""
    headers = {"Authorization": f"token {token}", "Accept": "application/vnd.github.raw+json"}
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{api}/{path}", body, headers), timeout=5) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in (403, 429):
                raise
        except OSError:
            pass
        time.sleep(1)


def show(queue, properties, body):
    print(json.dumps({
        "queue": queue, "body": json.loads(body), "priority": properties.priority,
        "delivery_mode": properties.delivery_mode, "content_type": properties.content_type,
    }))


def main():
    address, vhost, secrets, step, *words = sys.argv[1:]
    connection = connect(address, vhost, Path(secrets))
    {"declare": declare, "publish": publish, "take": take, "inspect": inspect, "work": work}[step](connection.channel(), *words)
    connection.close()


main()
