#!/usr/bin/env python3
"""Does with a broker what the programs of an existing deployment do, as the wire facts say; one step, then it ends.

    old_client.py HOST:PORT VHOST SECRETS-DIR declare
    old_client.py HOST:PORT VHOST SECRETS-DIR publish QUEUE [PRIORITY]   < BODY
    old_client.py HOST:PORT VHOST SECRETS-DIR take QUEUE [leave]
    old_client.py HOST:PORT VHOST SECRETS-DIR inspect

Every answer is a JSON object on a line of its own. An error of the broker, such as 406, ends it with a traceback.
"""

import json
import ssl
import sys
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


def show(queue, properties, body):
    print(json.dumps({
        "queue": queue, "body": json.loads(body), "priority": properties.priority,
        "delivery_mode": properties.delivery_mode, "content_type": properties.content_type,
    }))


def main():
    address, vhost, secrets, step, *words = sys.argv[1:]
    connection = connect(address, vhost, Path(secrets))
    {"declare": declare, "publish": publish, "take": take, "inspect": inspect}[step](connection.channel(), *words)
    connection.close()


main()
