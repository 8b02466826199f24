#!/usr/bin/env node
// Guests that go on while something else happens: reload_guest.js HOST. Kept connections with 50 requests a second between
// them, WebSockets with a message every 100 ms each, and one download that is read slowly. Says "begun" on stderr when all
// of it runs; after SIGTERM the download is read to its end, and what happened is printed as one JSON object.
'use strict';
const https = require('https');
const crypto = require('crypto');
const WebSocket = require('ws');

const host = process.argv[2];
const CONNECTIONS = 20, SOCKETS = 20, RATE = 50, DOWNLOAD = 64 * 1024 * 1024;
const seen = { requests: 0, answered: 0, failed: [], connections: 0, opened: 0, echoed: 0, wrong: 0, closed: [], download: '' };
let stopping = false;

const agent = new https.Agent({ keepAlive: true, maxSockets: CONNECTIONS, scheduling: 'fifo' });
const connect = agent.createConnection;
agent.createConnection = function (...args) {
    seen.connections++;
    return connect.apply(this, args);
};

function ask() {
    seen.requests++;
    const request = https.get({ host, path: '/bulk/hello', agent }, (response) => {
        response.resume();
        response.on('end', () => {
            if (response.statusCode === 200)
                seen.answered++;
            else
                seen.failed.push(response.statusCode);
        });
        response.on('error', (error) => seen.failed.push(error.code));
    });
    request.on('error', (error) => seen.failed.push(error.code));
}

function echo(id) {
    return new Promise((resolve) => {
        const socket = new WebSocket(`wss://${host}/bulk/echo`, { perMessageDeflate: false });
        let sent = 0, received = 0, ours = false;
        const timer = setInterval(() => {
            if (stopping && sent === received && !ours) {
                ours = true;
                socket.close(1000);
                clearInterval(timer);
            } else if (!stopping && socket.readyState === WebSocket.OPEN) {
                socket.send(`${id}:${sent++}`);
            }
        }, 100);
        socket.on('open', () => {
            seen.opened++;
            ready();
        });
        socket.on('message', (data) => {
            seen.echoed++;
            if (data.toString() !== `${id}:${received++}`)
                seen.wrong++;
        });
        socket.on('error', (error) => seen.closed.push(error.message));
        socket.on('close', (code) => {
            clearInterval(timer);
            if (!ours)
                seen.closed.push(code);
            resolve();
        });
    });
}

// 64 KiB every 50 ms, so that it takes longer than the test; then as fast as it comes.
function download() {
    return new Promise((resolve) => {
        https.get({ host, path: `/bulk/data?bytes=${DOWNLOAD}`, agent: false }, (response) => {
            const hash = crypto.createHash('sha256');
            let bytes = 0, taken = 0;
            response.on('data', (data) => {
                hash.update(data);
                bytes += data.length;
                taken += data.length;
                if (taken < 65536 || stopping)
                    return;
                taken = 0;
                response.pause();
                setTimeout(() => response.resume(), 50);
            });
            response.on('close', () => {
                seen.download = bytes === DOWNLOAD && hash.digest('hex') === expected() ? 'whole' : `broke off at ${bytes}`;
                resolve();
            });
            response.on('error', () => {});
            ready();
        }).on('error', (error) => {
            seen.download = error.code;
            resolve();
        });
    });
}

function expected() {
    const cipher = crypto.createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16));
    return crypto.createHash('sha256').update(cipher.update(Buffer.alloc(DOWNLOAD))).digest('hex');
}

let awaited = SOCKETS + 1;
function ready() {
    if (--awaited === 0)
        console.error('begun');
}

const timer = setInterval(ask, 1000 / RATE);
const all = [download(), ...Array.from({ length: SOCKETS }, (_, id) => echo(id))];
process.on('SIGTERM', () => {
    stopping = true;
    clearInterval(timer);
});
setTimeout(() => process.exit(1), 300000).unref();
Promise.all(all).then(() => {
    agent.destroy();
    setTimeout(() => {
        console.log(JSON.stringify(seen));
        process.exit(0);
    }, 200); // for requests that are still under way
});
