#!/usr/bin/env node
// The part of the test bridge that moves bytes: bulk.js PORT listens there on loopback, behind the bridge's nginx.
//
//   PUT  /bulk/sum            answers with the SHA-256 and the length of the body
//   PUT  /bulk/slow?pause=S   the same, but does not read for S seconds after the first bytes
//   GET  /bulk/data?bytes=N   N bytes of a fixed pseudo-random stream (AES-128-CTR over zeros, key and counter 0)
//   *    /bulk/hello          answers "hello" with what it saw of the request, as JSON
//   WS   /bulk/echo           sends every message back
'use strict';
const http = require('http');
const crypto = require('crypto');
const { WebSocketServer } = require('ws');

const zeros = Buffer.alloc(256 * 1024);

function readSum(request, response, pauseSeconds) {
    const hash = crypto.createHash('sha256');
    let bytes = 0;
    request.on('data', (chunk) => {
        if (bytes === 0 && pauseSeconds > 0) {
            request.pause();
            setTimeout(() => request.resume(), 1000 * pauseSeconds);
        }
        bytes += chunk.length;
        hash.update(chunk);
    });
    request.on('end', () => response.end(`${hash.digest('hex')} ${bytes}\n`));
}

function sendData(request, response, total) {
    const cipher = crypto.createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16));
    let left = total;
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': total });
    const more = () => {
        while (left > 0) {
            const chunk = cipher.update(zeros.subarray(0, Math.min(left, zeros.length)));
            left -= chunk.length;
            if (!response.write(chunk))
                return;
        }
        response.end();
    };
    response.on('drain', more);
    more();
}

function hello(request, response) {
    const { method, url, headers } = request;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ hello: 'bridge', method, url, headers }) + '\n');
}

const server = http.createServer((request, response) => {
    const url = new URL(request.url, 'http://bridge');
    if (url.pathname === '/bulk/data')
        sendData(request, response, Number(url.searchParams.get('bytes')));
    else if (url.pathname === '/bulk/sum' || url.pathname === '/bulk/slow')
        readSum(request, response, Number(url.searchParams.get('pause') || 0));
    else
        hello(request, response);
});
server.requestTimeout = 0;

const sockets = new WebSocketServer({ server, path: '/bulk/echo', perMessageDeflate: false });
sockets.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});

server.listen(Number(process.argv[2]), '127.0.0.1');
