"""Requests without a pause from several threads, bounded in time, every answer looked at."""
import collections
import threading

from . import http


class Load:
    """Keep-alive requests for `path` until the block ends; `failures` lists what was not 200."""

    def __init__(self, server, path, host='localhost', threads=4, expect=None):
        self.server, self.path, self.host, self.expect = server, path, host, expect
        self.failures, self.count, self.bodies = [], 0, collections.Counter()
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]

    def run(self):
        connection = None
        while not self.stop.is_set():
            try:
                if connection is None:
                    connection, fresh = self.server.connect(), True
                connection.send(http.request_bytes(self.path, host=self.host, close=False))
                response = connection.read_response()
                if response is None:
                    # A keep-alive connection may be closed between requests; a fresh one may not.
                    if fresh:
                        self.failures.append('closed without a response')
                    connection.close()
                    connection = None
                    continue
                fresh = False
                self.count += 1
                self.bodies[response.body] += 1
                if response.status != 200 or not response.complete or (self.expect and response.body not in self.expect):
                    self.failures.append((response.status, response.complete, response.body[:80]))
                if (response.header('Connection') or '').lower() == 'close':
                    connection.close()
                    connection = None
            except OSError as error:
                self.failures.append(repr(error))
                connection = None
        if connection:
            connection.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()
