#!/usr/bin/env node
// What a web bridge saw, for test_disruptions.sh: disrupt_bridge.js PORT NAME LOG listens there on loopback, behind nginx.
//
//   *    /id/ID?wait=MS   writes "ID METHOD NAME" to LOG as soon as the head is there, reads the body, answers "ID" after MS
//   *    /             the same without an ID: for probes
//   GET  /zeros/N      N zero bytes
//   WS   /echo            says its NAME first, then sends every message back
'use strict';
const fs = require('fs');
const http = require('http');
const { Readable } = require('stream');
const { WebSocketServer } = require('ws');

const [port, name, log] = process.argv.slice(2);
const out = fs.openSync(log, 'a');

function sendZeros(response, total) {
    response.writeHead(200, { 'content-length': total });
    Readable.from(pieces(total)).pipe(response);
}

function* pieces(total) {
    for (let left = total; left > 0; left -= Math.min(left, 65536))
        yield Buffer.alloc(Math.min(left, 65536));
}

const server = http.createServer((request, response) => {
    const url = new URL(request.url, 'http://bridge');
    const id = url.pathname.split('/')[2] || 'probe';
    fs.writeSync(out, `${id} ${request.method} ${name}\n`);
    request.on('error', () => {});
    if (url.pathname.startsWith('/zeros/'))
        return void sendZeros(response, Number(id));
    request.resume().on('end', () => setTimeout(() => {
        response.writeHead(200, { 'content-length': id.length });
        response.end(id);
    }, Number(url.searchParams.get('wait') || 0)));
});
const sockets = new WebSocketServer({ server, path: '/echo', perMessageDeflate: false });
sockets.on('connection', (socket) => {
    socket.on('error', () => {});
    socket.send(name);
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.listen(Number(port), '127.0.0.1');
