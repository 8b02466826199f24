#!/usr/bin/env node
// A guest that speaks HTTP/2 by itself: what a browser or curl would not do. Prints one JSON object.
//
//   guest_h2.js HOST websocket        echoes a message over extended CONNECT (RFC 8441)
//   guest_h2.js HOST stalled BYTES    stops reading one download, finishes another of BYTES meanwhile, then the first
//   guest_h2.js HOST resets           opens streams and resets them at once, until the connection is ended
//   guest_h2.js HOST drain            says "begun" on stderr within a download, goes on when GOAWAY has come
//   guest_h2.js HOST early            a PUT that is refused before its body is complete: the whole answer comes
'use strict';
const http2 = require('http2');
const crypto = require('crypto');

const [host, what, bytes = '0'] = process.argv.slice(2);
const session = http2.connect(`https://${host}`, { settings: { initialWindowSize: 65535 } });
const seen = { goaway: null };
const print = (object) => {
    console.log(JSON.stringify({ ...seen, ...object }));
    process.exit(0);
};
session.on('goaway', (code) => {
    seen.goaway = code;
});
session.on('error', (error) => {
    seen.error = error.code;
});
setTimeout(() => print({ error: 'timeout' }), 20000).unref();

// Resolves to status, bytes and hash of an answer.
function answer(stream) {
    return new Promise((resolve) => {
        const hash = crypto.createHash('sha256');
        const got = { status: 0, bytes: 0, code: null };
        stream.on('response', (head) => {
            got.status = head[':status'];
        });
        stream.on('data', (data) => {
            got.bytes += data.length;
            hash.update(data);
        });
        stream.on('error', (error) => {
            got.error = error.code;
        });
        stream.on('close', () => resolve({ ...got, code: stream.rstCode, sum: hash.digest('hex') }));
    });
}

const get = (path) => session.request({ ':path': path });

const tests = {
    async websocket() {
        await new Promise((resolve) => session.once('remoteSettings', resolve));
        const stream = session.request({
            ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/bulk/echo', 'sec-websocket-version': '13',
        });
        stream.on('response', (head) => {
            seen.status = head[':status'];
            const frame = Buffer.concat([Buffer.from([0x81, 0x85, 0, 0, 0, 0]), Buffer.from('hello')]); // masked by zeros
            stream.write(frame);
        });
        stream.on('data', (data) => print({ echo: data.subarray(2).toString() }));
    },
    async stalled() {
        const first = get('/bulk/data?bytes=50000000');
        await new Promise((resolve) => first.once('readable', resolve)); // and nobody reads
        const second = await answer(get(`/bulk/data?bytes=${bytes}`));
        const stopped = !first.readableEnded;
        const rest = await answer(first);
        print({ stopped, second, first: rest });
    },
    resets() {
        let opened = 0;
        const over = () => session.closed || session.destroyed;
        const more = () => {
            for (let i = 0; i < 50 && !over(); i++, opened++) {
                const stream = get('/bulk/data?bytes=1000000');
                stream.on('error', () => {});
                stream.close(http2.constants.NGHTTP2_CANCEL);
            }
            if (!over())
                setTimeout(more, 1); // what comes back is read in between
        };
        session.on('close', () => print({ opened }));
        session.once('connect', more);
    },
    async drain() {
        const stream = get('/bulk/data?bytes=3000000');
        await new Promise((resolve) => stream.once('readable', resolve));
        session.on('goaway', async () => {
            print({ ...(await answer(stream)) });
        });
        console.error('begun');
    },
    async early() {
        const stream = session.request({ ':method': 'PATCH', ':path': '/bulk/sum' }, { endStream: false });
        print(await answer(stream));
    },
};
tests[what]();
