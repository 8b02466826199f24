#!/usr/bin/env node
// Many WebSockets at once against an echo: ws_echo.js URL SOCKETS MESSAGES. Each socket keeps a few messages under way,
// of sizes from none to 64 KiB, and checks that they come back whole and in order. Prints what happened as JSON; exit
// status 0 if nothing was lost, changed or reordered.
'use strict';
const crypto = require('crypto');
const WebSocket = require('ws');

const [url, sockets, messages] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const WINDOW = 8;
const noise = crypto.randomBytes(65536);
const seen = { opened: 0, echoed: 0, wrong: 0, closedEarly: 0, errors: [] };

// The message a socket sends at a step: every 100th is large, every 50th is text, its first bytes say which it is.
function message(id, step) {
    const label = `${id}:${step}:`;
    if (step % 50 === 7)
        return label + 'straße '.repeat(step % 40);
    const size = step % 100 === 0 ? 65536 - label.length : (id * 31 + step * 17) % 1400;
    return Buffer.concat([Buffer.from(label), noise.subarray(0, size)]);
}

function same(sent, data, isBinary) {
    return isBinary === Buffer.isBuffer(sent) && Buffer.compare(Buffer.from(sent), data) === 0;
}

function run(id) {
    return new Promise((resolve) => {
        const socket = new WebSocket(url, { perMessageDeflate: false });
        let sent = 0;
        let received = 0;
        const fill = () => {
            while (sent < messages && sent - received < WINDOW)
                socket.send(message(id, sent++));
        };
        socket.on('open', () => {
            seen.opened++;
            start.push(fill);
            if (start.length === sockets)
                start.forEach((go) => go());
        });
        socket.on('message', (data, isBinary) => {
            if (!same(message(id, received), data, isBinary))
                seen.wrong++;
            received++;
            seen.echoed++;
            if (received === messages)
                socket.close(1000);
            fill();
        });
        socket.on('error', (error) => seen.errors.push(error.message));
        socket.on('close', (code) => {
            if (received < messages || code !== 1000)
                seen.closedEarly++;
            resolve();
        });
    });
}

const start = [];
const begin = process.hrtime.bigint();
Promise.all(Array.from({ length: sockets }, (_, id) => run(id))).then(() => {
    seen.errors = [...new Set(seen.errors)].slice(0, 5);
    seen.milliseconds = Number((process.hrtime.bigint() - begin) / 1000000n);
    console.log(JSON.stringify(seen));
    process.exitCode = seen.echoed === sockets * messages && seen.wrong + seen.closedEarly === 0 ? 0 : 1;
});
