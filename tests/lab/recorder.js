#!/usr/bin/env node
// A bridge that takes everything and writes down what came: for the bytes that a proxy lets through. It reads as leniently
// as any server may, answers 200 to every request, and never refuses: judging is done here, with its own eyes, by flaws().
//
//   recorder.js FILE PORT...                    plain HTTP/1.1 on these ports
//   recorder.js FILE --tls CERT KEY PORT...     HTTPS
//
// One JSON line in FILE when the head of a request has come: {"port", "id", "line": its request line, "fields": {name:
// value}, "flaws": [what two servers could read differently]}; and one when all of it has: {"port", "id", "whole": true}.
// Core's probes are answered and not written down. A path with "never" in it gets no answer; a WebSocket opening gets 101 and its bytes are not read as requests.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const net = require('net');
const tls = require('tls');

// Every rule is of RFC 9112 or RFC 9110; a head that breaks one has two readings.
const rules = [
    ['a bare LF', (head) => /(^|[^\r])\n/.test(head)],
    ['a bare CR', (head) => /\r(?!\n)/.test(head)],
    ['NUL', (head) => head.includes('\0')],
    ['a control character', (head) => /[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(head)],
    ['a folded line', (head, lines) => lines.some((line) => /^[ \t]/.test(line))],
    ['no valid request line', (head, lines) => !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21-\x7e]+ HTTP\/1\.[01]$/.test(lines[0])],
    ['a fragment', (head, lines) => lines[0].includes('#')],
    ['a line that is no field', (head, lines) => lines.slice(1).some((line) => !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+:/.test(line))],
    ['no Host, or two', (head, lines, all) => all('host').length !== 1],
    ['an odd Host', (head, lines, all) => all('host').some((host) => !/^([A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])(:[0-9]+)?$/.test(host))],
    ['two hosts', (head, lines, all) => {
        const target = /^\S+ https?:\/\/([^/? ]*)/i.exec(lines[0]);
        return target && all('host').some((host) => host.toLowerCase() !== target[1].toLowerCase());
    }],
    ['two lengths', (head, lines, all) => all('content-length').length > 1],
    ['an odd length', (head, lines, all) => all('content-length').some((length) => !/^[0-9]{1,18}$/.test(length))],
    ['a length and chunks', (head, lines, all) => all('content-length').length > 0 && all('transfer-encoding').length > 0],
    ['an odd coding', (head, lines, all) => all('transfer-encoding').length > 1 || all('transfer-encoding').some((v) => !/^chunked$/i.test(v))],
    ['chunks in HTTP/1.0', (head, lines, all) => all('transfer-encoding').length > 0 && /HTTP\/1\.0$/.test(lines[0])],
    ['framing with an underscore', (head, lines, all) => all('content_length').length + all('transfer_encoding').length > 0],
    ['an upgrade to h2c', (head, lines, all) => all('upgrade').some((v) => /h2c/i.test(v)) || all('http2-settings').length > 0],
    ['an expectation', (head, lines, all) => all('expect').some((v) => !/^100-continue$/i.test(v))],
    ['the guest\'s Connection', (head, lines, all) => all('connection').some((v) => !/^(close|keep-alive|upgrade|te)?$/i.test(v))],
    ['a method override', (head, lines, all) => all('x-http-method-override').length > 0],
];

function judge(head) {
    const lines = head.replace(/\r?\n$/, '').split(/\r?\n/);
    const fields = lines.slice(1).map((line) => /^\s*([^:]*?)\s*:\s*(.*?)\s*$/s.exec(line)).filter(Boolean);
    const all = (name) => fields.filter(([, n]) => n.toLowerCase() === name).map(([, , value]) => value);
    return { line: lines[0], fields: Object.fromEntries(fields.map(([, n, v]) => [n.toLowerCase(), v])), all,
        flaws: rules.filter(([, broken]) => broken(head, lines, all)).map(([name]) => name) };
}

// The end of the body that begins at `at`, or -1 while it has not come.
function bodyEnd(text, at, all) {
    if (!all('transfer-encoding').some((v) => /chunked/i.test(v))) {
        const end = at + (parseInt(all('content-length')[0], 10) || 0);
        return end <= text.length ? end : -1;
    }
    for (;;) {
        const line = /^\s*([0-9a-fA-F]+)[^\n]*\n/.exec(text.slice(at));
        if (!line)
            return -1;
        at += line[0].length + parseInt(line[1], 16);
        if (line[1].match(/^0+$/)) {
            const trailers = /^(?:[^\n]*[^\r\n][^\n]*\n)*\r?\n/.exec(text.slice(at));
            return trailers ? at + trailers[0].length : -1;
        }
        const crlf = /^\r?\n/.exec(text.slice(at));
        if (!crlf)
            return -1;
        at += crlf[0].length;
    }
}

let requests = 0;

const isProbe = (request) => request.line === 'HEAD / HTTP/1.1' && request.fields['user-agent'] === 'stile-core';

function serve(socket, write) {
    let text = '', current = null;
    const record = (what) => isProbe(current) || write(what);
    const answer = (request) => {
        if (/\S*never/.test(request.line))
            return;
        const key = request.all('sec-websocket-key')[0];
        if (key && /websocket/i.test(request.all('upgrade')[0] || '')) {
            const accept = crypto.createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
            socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
            socket.removeAllListeners('data').resume();
            return;
        }
        const head = /^HEAD /.test(request.line);
        socket.write(`HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\n${head ? '' : 'ok\n'}`);
        if (/HTTP\/1\.0$/.test(request.line) || request.all('connection').some((v) => /close/i.test(v)))
            socket.end();
    };
    socket.on('data', (data) => {
        text += data.toString('latin1');
        for (;;) {
            if (!current) {
                const head = /^(?:\r?\n)*([^]*?\r?\n)\r?\n/.exec(text);
                if (!head)
                    return;
                text = text.slice(head[0].length);
                current = judge(head[1]);
                current.id = requests++;
                record({ id: current.id, line: current.line, fields: current.fields, flaws: current.flaws });
            }
            const end = bodyEnd(text, 0, current.all);
            if (end < 0)
                return;
            text = text.slice(end);
            record({ id: current.id, whole: true });
            answer(current);
            current = null;
        }
    });
    socket.on('error', () => socket.destroy());
}

function main(file, rest) {
    const secure = rest[0] === '--tls' && { cert: fs.readFileSync(rest[1]), key: fs.readFileSync(rest[2]) };
    const out = fs.openSync(file, 'a');
    for (const port of rest.slice(secure ? 3 : 0).map(Number)) {
        const each = (socket) => serve(socket, (what) => fs.writeSync(out, JSON.stringify({ port, ...what }) + '\n'));
        (secure ? tls.createServer(secure, each) : net.createServer(each)).listen(port);
    }
}

main(process.argv[2], process.argv.slice(3));
