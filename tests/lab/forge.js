#!/usr/bin/env node
// An edge that was taken over: speaks HTTP/2 to core on stdin and stdout, where `stile-edge attach` would hand the
// channel to the edge, and asks for what core must not give. forge.js FILE writes what came of each request to FILE as
// JSON lines: {"name", "wanted": "served" or "refused", "got": status or the error that the stream died of}.
'use strict';
const fs = require('fs');
const http2 = require('http2');
const { Duplex } = require('stream');

const JOIN = 'join.example.com';
const request = (fields) => ({ ':scheme': 'https', ':authority': JOIN, ':method': 'GET', ':path': '/bulk/forged', ...fields });
const websocket = (fields) => request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/bulk/echo',
    'sec-websocket-version': '13', ...fields });

// The first and the last are what an honest edge asks: they show that the channel works before and after the rest.
const requests = [
    ['an honest request', 'served', request({ ':path': '/bulk/honest' })],
    ['another host', 'refused', request({ ':authority': 'intranet.example.com' })],
    ['the bridge by its address', 'refused', request({ ':authority': '10.20.0.20' })],
    ['another machine of the LAN', 'refused', request({ ':authority': '10.20.0.53' })],
    ['core itself', 'refused', request({ ':authority': '127.0.0.1' })],
    ['core itself over IPv6', 'refused', request({ ':authority': '[::1]' })],
    ['a user before the host', 'refused', request({ ':authority': `${JOIN}@10.20.0.53` })],
    ['no host', 'refused', request({ ':authority': '' })],
    ['another port', 'refused', request({ ':authority': `${JOIN}:8443` })],
    ['SSH of the bridge', 'refused', request({ ':authority': `${JOIN}:22` })],
    ['port 0', 'refused', request({ ':authority': `${JOIN}:0` })],
    ['a port that overflows to 443', 'refused', request({ ':authority': `${JOIN}:65979` })],
    ['plain HTTP', 'refused', request({ ':scheme': 'http' })],
    ['a file', 'refused', request({ ':scheme': 'file', ':path': '/etc/passwd' })],
    ['TRACE', 'refused', request({ ':method': 'TRACE' })],
    ['PATCH', 'refused', request({ ':method': 'PATCH' })],
    ['OPTIONS', 'refused', request({ ':method': 'OPTIONS' })],
    ['a method of one\'s own', 'refused', request({ ':method': 'FORGED' })],
    ['get in small letters', 'refused', request({ ':method': 'get' })],
    ['a tunnel to the name server', 'refused', { ':method': 'CONNECT', ':authority': '10.20.0.53:53' }],
    ['a tunnel to the bridge', 'refused', { ':method': 'CONNECT', ':authority': `${JOIN}:443` }],
    ['a tunnel of another protocol', 'refused', websocket({ ':protocol': 'connect-udp' })],
    ['a WebSocket to another host', 'refused', websocket({ ':authority': '10.20.0.53' })],
    ['a WebSocket to another port', 'refused', websocket({ ':authority': `${JOIN}:8188` })],
    ['a path that climbs out', 'refused', request({ ':path': '/bulk/../../forged' })],
    ['the same, encoded', 'refused', request({ ':path': '/%2e%2e/%2e%2e/forged' })],
    ['an encoded slash', 'refused', request({ ':path': '/bulk%2fforged' })],
    ['an encoded NUL', 'refused', request({ ':path': '/bulk/forged%00' })],
    ['a line break in the path', 'refused', request({ ':path': '/bulk/forged%0d%0aHost:%20other' })],
    ['a backslash', 'refused', request({ ':path': '/bulk\\forged' })],
    ['a path without its slash', 'refused', request({ ':path': 'bulk/forged' })],
    ['an absolute path', 'refused', request({ ':path': 'http://10.20.0.53/forged' })],
    ['an asterisk', 'refused', request({ ':path': '*' })],
    ['an honest request again', 'served', request({ ':path': '/bulk/honest' })],
];

function ask(session, fields) {
    return new Promise((resolve) => {
        let stream;
        try {
            stream = session.request(fields, { endStream: fields[':method'] !== 'CONNECT' });
        } catch (error) {
            resolve(`not sent: ${error.message}`);
            return;
        }
        stream.setTimeout(5000, () => resolve('no answer'));
        stream.on('response', (headers) => {
            resolve(headers[':status']);
            stream.close();
        });
        stream.on('error', (error) => resolve(`stream ${error.code}: ${error.message}`));
        stream.on('close', () => resolve(`stream closed with ${stream.rstCode}`));
        stream.resume();
    });
}

async function main(file) {
    const channel = Duplex.from({ readable: process.stdin, writable: process.stdout });
    const session = http2.connect(`https://${JOIN}`, { createConnection: () => channel });
    session.on('error', (error) => fs.appendFileSync(file, JSON.stringify({ session: error.message }) + '\n'));
    await new Promise((resolve) => session.once('remoteSettings', resolve));
    for (const [name, wanted, fields] of requests)
        fs.appendFileSync(file, JSON.stringify({ name, wanted, got: await ask(session, fields) }) + '\n');
    fs.appendFileSync(file, JSON.stringify({ end: true }) + '\n');
}

main(process.argv[2]);
