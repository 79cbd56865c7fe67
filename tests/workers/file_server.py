"""A file server for downloads: ``python file_server.py LOG`` prints its port; each request's Range goes into LOG.

The first part of a path says how it behaves, the second is the size of the file in bytes.
"""

from __future__ import annotations

import http.server
import re
import sys

CUT = 40_000  # bytes after which a connection breaks


def content(size: int) -> bytes:
    return bytes(n * 7 % 251 for n in range(size))


class Server(http.server.BaseHTTPRequestHandler):
    refused = 0

    def do_GET(self) -> None:
        kind, size = re.fullmatch(r'/([a-z]+)/(\d+).*', self.path).groups()
        data = content(int(size))
        asked = self.headers.get('Range')
        data = data[::-1] if kind == 'changed' and asked else data
        with open(sys.argv[1], 'a') as log:
            log.write(f'{kind} {asked}\n')
        if kind == 'missing':
            self.send_error(404)
        elif kind == 'flaky' and Server.refused < 2:
            Server.refused += 1
            self.send_error(503)
        elif kind == 'page':
            self.answer(200, b'<html>sign in</html>', 'text/html')
        elif kind == 'stuck':
            self.answer(200, data, length=len(data) + 1000, part=data[:0])
        elif kind == 'unsized':
            self.answer(200, data, length=None)
        elif kind == 'broken':  # parts of another place
            start = int(asked[6:-1]) if asked else 0
            part = data[start // 2 :][: len(data) - start] if asked else data[:CUT]
            self.answer(206 if asked else 200, data, part=part, start=start // 2)
        elif asked and kind != 'ignores' and self.headers.get('If-Range') in (None, self.tag(kind)):
            start = int(asked[6:-1])
            self.answer(206, data, part=data[start:][: CUT if kind == 'cut' else None], start=start)
        else:
            self.answer(200, data, part=data[:CUT] if kind in ('cut', 'changed') and not asked else data)

    def tag(self, kind: str) -> str:
        return '"new"' if kind == 'changed' and self.headers.get('Range') else '"1"'

    def answer(self, status, data, kind='application/octet-stream', length=-1, part=None, start=0) -> None:
        part = data if part is None else part
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('ETag', self.tag(self.path.split('/')[1]))
        if status == 206:
            self.send_header('Content-Range', f'bytes {start}-{len(data) - 1}/{len(data)}')
        if length is not None:
            self.send_header('Content-Length', str(len(data) - start if length < 0 else length))
        self.end_headers()
        self.wfile.write(part)
        self.close_connection = True

    def log_message(self, *args) -> None:
        pass


if __name__ == '__main__':
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Server) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()
