#!/usr/bin/env node
// Well-behaved guests, while others misbehave: abuse_guests.js HOST ADDRESS (theirs). Kept connections (HTTP/1.1 and HTTP/2), new ones, and
// WebSockets, at even intervals. A line NAME on stdin ends the phase before it: its figures are printed as one line of
// JSON. The end of stdin ends the last phase.
//
// What is counted: requests, those not answered 200 (failed, by reason), latencies from the moment at which the
// request was due, kept connections and WebSockets that were lost.
'use strict';
const http2 = require('http2');
const https = require('https');
const readline = require('readline');
const WebSocket = require('ws');

const [host, localAddress] = process.argv.slice(2);
const to = { host, localAddress, family: 4 };
const [KEPT, SOCKETS, PATIENCE_MS] = [10, 5, 20000];
const every = { kept: 20, h2: 40, fresh: 100, echo: 50 }; // milliseconds between two of each

let phase;
const begin = (name) => {
    phase = { name, latencies: [], echoes: [], fresh: [], requests: 0, failed: {}, lost: 0, open: 0 };
};

// One try: counts into the phase in which it was due.
function track(latencies) {
    const mine = phase;
    const due = process.hrtime.bigint();
    let over = false;
    mine.requests++;
    mine.open++;
    const done = (failure) => {
        if (over)
            return;
        over = true;
        mine.open--;
        clearTimeout(timer);
        if (failure)
            mine.failed[failure] = (mine.failed[failure] || 0) + 1;
        else
            mine[latencies].push(Number(process.hrtime.bigint() - due) / 1e6);
        if (mine.ended && mine.open === 0)
            mine.ended();
    };
    const timer = setTimeout(() => done('no answer'), PATIENCE_MS);
    return done;
}

function get(agent, latencies) {
    const done = track(latencies);
    const request = https.get({ ...to, path: '/settings.js', agent }, (response) => {
        response.resume();
        response.on('end', () => done(response.statusCode === 200 ? '' : response.statusCode));
    });
    request.on('error', (error) => done(error.code || error.message));
}

const kept = Array.from({ length: KEPT }, () => new https.Agent({ keepAlive: true, maxSockets: 1 }));
for (const agent of kept) {
    const create = agent.createConnection;
    agent.createConnection = function (...args) {
        const socket = create.apply(this, args);
        socket.on('close', () => phase.lost++);
        return socket;
    };
}
let turn = 0;
setInterval(() => get(kept[turn++ % KEPT], 'latencies'), every.kept);
setInterval(() => get(new https.Agent({ keepAlive: false }), 'fresh'), every.fresh);

const session = http2.connect(`https://${host}`, to);
session.on('error', () => {});
session.on('close', () => phase.lost++);
setInterval(() => {
    const done = track('latencies');
    if (session.destroyed)
        return done('session is gone');
    const stream = session.request({ ':path': '/settings.js' });
    stream.on('response', (head) => done(head[':status'] === 200 ? '' : head[':status']));
    stream.on('error', (error) => done(error.code || error.message));
    stream.resume();
}, every.h2);

for (let i = 0; i < SOCKETS; i++) {
    const socket = new WebSocket(`wss://${host}/bulk/echo`, { ...to, perMessageDeflate: false });
    const waiting = [];
    socket.on('open', () => setInterval(() => {
        waiting.push(track('echoes'));
        socket.send('still there?');
    }, every.echo));
    socket.on('message', () => waiting.shift()(''));
    socket.on('error', () => {});
    socket.on('close', () => {
        phase.lost++;
        waiting.forEach((done) => done('WebSocket lost'));
    });
}

const at = (sorted, part) => (sorted.length ? Number(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))].toFixed(1)) : 0);

async function end(name) {
    const mine = phase;
    begin(name);
    if (mine.open > 0)
        await new Promise((resolve) => { mine.ended = resolve; });
    const figures = { phase: mine.name, requests: mine.requests, failed: mine.failed, lost: mine.lost };
    for (const kind of ['latencies', 'fresh', 'echoes']) {
        const sorted = mine[kind].sort((a, b) => a - b);
        figures[kind] = { p50: at(sorted, 0.5), p99: at(sorted, 0.99), max: at(sorted, 1) };
    }
    console.log(JSON.stringify(figures));
}

begin('start');
const lines = readline.createInterface({ input: process.stdin });
lines.on('line', end);
lines.on('close', () => end('').then(() => process.exit(0)));
