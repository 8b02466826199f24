#!/usr/bin/env node
// What tests/bench/web needs of WebSockets and uploads.
//
//   web_node.js bridge PORT                        plain HTTP: PUT is read and counted, WebSockets echo
//   web_node.js sockets URL N SECONDS RATE         N WebSockets, RATE messages of 100 bytes a second over all of them for
//                                                  SECONDS; prints "connected N" and waits for a line on stdin before and
//                                                  after, so that memory can be looked at; then "p50 p99" in milliseconds
'use strict';
const http = require('http');
const readline = require('readline');
const WebSocket = require('ws');

function bridge(port) {
    const server = http.createServer((request, response) => {
        let bytes = 0;
        request.on('data', (chunk) => { bytes += chunk.length; });
        request.on('end', () => response.end(`${bytes}\n`));
    });
    const sockets = new WebSocket.WebSocketServer({ server, perMessageDeflate: false });
    sockets.on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })));
    server.listen(port, '127.0.0.1');
}

// From many addresses: an edge lets no single one have them all.
function open(url, i) {
    const localAddress = `127.0.1.${1 + (i % 50)}`;
    return new Promise((resolve, reject) => {
        const socket = new WebSocket(url, { perMessageDeflate: false, rejectUnauthorized: false, family: 4, localAddress });
        socket.once('open', () => resolve(socket));
        socket.once('error', reject);
    });
}

async function openAll(url, n) {
    const all = [];
    while (all.length < n) {
        const some = Array.from({ length: Math.min(50, n - all.length) }, (_, i) => open(url, i));
        all.push(...await Promise.all(some));
    }
    return all;
}

// Messages leave at even intervals, over the sockets in turn; each carries the time it left.
function echo(all, seconds, rate) {
    const times = [];
    const start = performance.now();
    let sent = 0;
    for (const socket of all)
        socket.on('message', (data) => times.push(performance.now() - data.readDoubleLE(0)));
    return new Promise((resolve) => {
        const timer = setInterval(() => {
            const due = Math.min((performance.now() - start) / 1000, seconds) * rate;
            for (; sent < due; sent++) {
                const message = Buffer.alloc(100);
                message.writeDoubleLE(performance.now(), 0);
                all[sent % all.length].send(message);
            }
            if (times.length < Math.floor(seconds * rate))
                return;
            clearInterval(timer);
            times.sort((a, b) => a - b);
            resolve([0.5, 0.99].map((q) => times[Math.floor(q * times.length)].toFixed(2)).join(' '));
        }, 1);
    });
}

async function sockets(url, n, seconds, rate) {
    const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
    const all = await openAll(url, n);
    console.log(`connected ${all.length}`);
    await lines.next();
    console.log(await echo(all, seconds, rate));
    await lines.next();
    process.exit(0);
}

const [role, ...args] = process.argv.slice(2);
if (role === 'bridge')
    bridge(Number(args[0]));
else
    sockets(args[0], ...args.slice(1).map(Number)).catch((error) => {
        console.error(`web_node: ${error.message}`);
        process.exit(1);
    });
