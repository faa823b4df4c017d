#!/usr/bin/env python3
"""An executor in plain Python: reads the invocation, binds the session, sends its messages and finishes the session."""

import datetime
import json
import os
import socket
import sys
import urllib.parse
import urllib.request

API_URL = os.environ["AGENT_ORCHESTRATOR_API_URL"].rstrip("/")
# The API is the runner on this machine, so bypass any proxy.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def post(path, body):
    """POSTs JSON. Raises urllib.error.URLError, which fails the run."""
    request = urllib.request.Request(
        API_URL + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    OPENER.open(request, timeout=40).close()


def main():
    invocation = json.load(sys.stdin)
    version = invocation.get("schema_version")
    if version == "2.0":
        prompt = invocation["prompt"]
    elif version == "2.2":
        prompt = invocation["parameters"].get("prompt", "")
    else:
        sys.exit(f"unsupported schema version {version!r}")

    session_id = invocation["session_id"]
    path = "/sessions/" + urllib.parse.quote(session_id, safe="")

    def send(event_type, **fields):
        timestamp = datetime.datetime.now(datetime.timezone.utc).isoformat()
        post(path + "/events", {"event_type": event_type, "session_id": session_id, "timestamp": timestamp, **fields})

    def say(role, text):
        send("message", role=role, content=[{"type": "text", "text": text}])

    # A real executor sends the id with which it finds its own conversation on resume.
    post(path + "/bind", {"executor_session_id": "python-" + session_id, "hostname": socket.gethostname(),
                          "executor_type": "python", "executor_profile": "python", "project_dir": os.getcwd()})
    if invocation["mode"] == "resume":
        send("session_start")
    say("user", prompt)
    answer = prompt.upper()  # the work
    say("assistant", answer)
    send("result", result_text=answer)
    print(answer)
    # Must be the last event, and only on success: it finishes the session.
    send("session_stop", exit_code=0, reason="completed")


main()
