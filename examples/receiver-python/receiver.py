"""Receives Ringback's callbacks: verifies each, records it once, answers when it is safe on the disk. Python 3.9 or newer.

Exactly once, and where it ends: a callback comes again until it is answered with 2xx, so it may come twice. Here an
event's ID and all that it changes are one transaction of SQLite, and a crash leaves both or neither: each event counts
once. Work elsewhere (a mail, a call to another service) cannot be in that transaction: do it afterwards from what was
recorded, mark it done, and give the other side the event's ID as its idempotency key, because a crash before the mark
does it again. That is at least once.
"""

# --- verify
import base64, hashlib, hmac, time

def verify(secret, headers, body):
    """Tells whether the secret signed a callback's raw body, at most five minutes from now."""
    id, at, given = (headers.get("webhook-" + name, "") for name in ("id", "timestamp", "signature"))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    if len(key) < 24 or not at.isdecimal() or len(at) > 12 or abs(time.time() - int(at)) > 300:
        return False
    mac = hmac.new(key, f"{id}.{at}.".encode() + body, hashlib.sha256)
    want = b"v1," + base64.b64encode(mac.digest())
    return any(hmac.compare_digest(s.encode(), want) for s in given.split())  # in constant time
# --- end

import http.client
import json
import os
import re
import signal
import sqlite3
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LONGEST_BODY = 1 << 20  # Ringback's own bound is lower: limits.event_bytes, 256 KiB by default
SECRETS = os.environ.get("RINGBACK_SECRET", "").split(",")  # two while you rotate
SERVER = os.environ.get("RINGBACK_SERVER", "http://127.0.0.1:8787")
API_KEY = os.environ.get("RINGBACK_API_KEY", "")

SCHEMA = """
CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, job TEXT, sequence INTEGER, type TEXT, body BLOB);
CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, events INTEGER, sequence INTEGER, type TEXT, result_url TEXT, result BLOB);
"""


class Store:
    """What was received. Several processes may share the file: the primary key lets each event in once."""

    def __init__(self, folder):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.lock = threading.Lock()  # one connection, used by one thread at a time
        self.db = sqlite3.connect(os.path.join(folder, "receiver.db"), timeout=10, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")  # a commit is on the disk when it returns
        self.db.executescript(SCHEMA)

    def receive(self, id, job, sequence, type, result_url, body):
        """Records an event and does its work, unless it is here already: then False. An error leaves nothing behind."""
        with self.lock, self.db:
            row = (id, job, sequence, type, body)
            if not self.db.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", row).rowcount:
                return False
            if not sequence:  # an event of no job
                return True
            # The work. A count would be wrong for ever if an event counted twice; the state never goes back.
            self.db.execute("INSERT INTO jobs VALUES (?, 0, 0, '', NULL, NULL) ON CONFLICT DO NOTHING", (job,))
            self.db.execute("UPDATE jobs SET events = events + 1 WHERE id = ?", (job,))
            self.db.execute("UPDATE jobs SET sequence = ?, type = ?, result_url = ?, result = NULL WHERE id = ? AND sequence < ?",
                            (sequence, type, result_url, job, sequence))
            return True

    def unfetched(self):
        """Gives (job, sequence, URL) of the results that are still to be fetched."""
        with self.lock:
            return self.db.execute("SELECT id, sequence, result_url FROM jobs "
                                   "WHERE result_url IS NOT NULL AND result IS NULL").fetchall()

    def fetched(self, job, sequence, result):
        """Records a result, unless the job has moved on."""
        with self.lock, self.db:
            self.db.execute("UPDATE jobs SET result = ? WHERE id = ? AND sequence = ?", (result, job, sequence))


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Goes nowhere: urllib would take the API key along to another host."""

    def redirect_request(self, *_):
        return None


def fetch_results(store, stop):
    """Fetches what was too long for a callback: after the answer, after a restart, again each second; twice does no harm."""
    opener = urllib.request.build_opener(NoRedirect)
    while True:
        for job, sequence, url in store.unfetched():
            try:
                if not url.startswith(SERVER + "/"):  # the only one that gets the key, whatever a callback says
                    raise ValueError(f"{url} is not on RINGBACK_SERVER ({SERVER})")
                request = urllib.request.Request(url, headers={"Authorization": "Bearer " + API_KEY} if API_KEY else {})
                with opener.open(request, timeout=30) as answer:
                    store.fetched(job, sequence, answer.read())
            except (OSError, ValueError, http.client.HTTPException, sqlite3.Error) as error:
                print(f"the result of {job} is still to be fetched: {error}", file=sys.stderr)
        if stop.wait(1):
            return


class Receiver(BaseHTTPRequestHandler):
    timeout = 10  # seconds that a sender may be silent

    def do_POST(self):
        """Answers 204 when the event is safe, be it new or known. All else is not 2xx, and Ringback sends it again."""
        length = self.headers.get("content-length", "")
        if not re.fullmatch("[0-9]{1,9}", length):
            return self.answer(411, "send a Content-Length")
        if int(length) > LONGEST_BODY:
            for left in range(min(int(length), 16 * LONGEST_BODY), 0, -65536):  # read on, or the sender misses the answer
                self.rfile.read(min(left, 65536))
            return self.answer(413, "the body is over 1 MiB")
        body = self.rfile.read(int(length))  # raw: the signature is over these bytes
        if not any(verify(secret, self.headers, body) for secret in SECRETS):
            return self.answer(401, "the signature does not verify")
        try:
            event = json.loads(body)
            url = event["result_url"] if event.get("response_omitted") else None
            row = event["data"].get("id"), event.get("sequence", 0), event["type"], url, body
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return self.answer(400, "the body is not an event")
        id = self.headers["webhook-id"]
        new = self.server.store.receive(id, *row)  # an error of the database leaves no answer, which is as good as a 500
        self.log_message("%s %s %s new=%s", id, row[0], row[2], new)
        self.answer(204)

    def refuse(self):
        self.answer(405, "callbacks are POSTs")

    do_GET = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = refuse

    def answer(self, status, text=""):
        self.send_response(status)
        if status == 405:
            self.send_header("Allow", "POST")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text.encode())


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = False  # closing waits for the requests that are being answered


def main():
    if not all(re.fullmatch("whsec_[A-Za-z0-9+/]{32,}=*", secret) for secret in SECRETS):
        sys.exit("set RINGBACK_SECRET to what GET /v1/webhooks/default/secret says; two are separated by a comma")
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # before any thread starts: sigwait gets them
    server = Server(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Receiver)
    server.store, stop = Store(os.environ.get("DATA", "receiver-data")), threading.Event()
    threads = [threading.Thread(target=server.serve_forever), threading.Thread(target=fetch_results, args=(server.store, stop))]
    for thread in threads:
        thread.start()
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    signal.sigwait(signals)
    server.shutdown()
    server.server_close()
    stop.set()
    for thread in threads:
        thread.join()
    server.store.db.close()


if __name__ == "__main__":
    main()
