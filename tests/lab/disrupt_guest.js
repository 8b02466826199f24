#!/usr/bin/env node
// Guests that notice every disruption, for test_disruptions.sh: SOCKETS WebSockets with a numbered echo a second each, and
// RATE requests a second, each with an id of its own, over HTTP/1.1 and HTTP/2 in turn, from several addresses.
//
//   disrupt_guest.js HOST ADDRESS SOCKETS RATE PORT LOG FROM...
//
// HOST at ADDRESS is asked from the addresses FROM; LOG is what the bridges write (disrupt_bridge.js). A guest repeats
// nothing by itself; a WebSocket that has closed is opened again. It is asked on http://127.0.0.1:PORT/:
//
//   begin/NAME   a phase begins: requests that are under way or begin, and WebSockets that close from now on, are its own
//   running      how many of the phase's requests are under way
//   stuck        how many of its GETs and HEADs have been for more than 3 s
//   open         how many WebSockets are open
//   opened       how many were opened, ever
//   end          the phase ends; when its requests are over and every WebSocket is open and has echoed once more, answers
//                with what was seen, as JSON
'use strict';
const fs = require('fs');
const http = require('http');
const http2 = require('http2');
const https = require('https');
const tls = require('tls');
const WebSocket = require('ws');

const [host, address, sockets, rate, controlPort, bridgeLog, ...from] = process.argv.slice(2);
const SETTLE_MS = 40000;
const lookup = (name, options, done) => (options.all ? done(null, [{ address, family: 4 }]) : done(null, address, 4));
const now = () => Number(process.hrtime.bigint() / 1000000n);

// Method and milliseconds that the bridge takes for it: those that take long are under way when something is cut.
const KINDS = [['GET', 0], ['POST', 0], ['GET', 1200], ['HEAD', 0], ['PUT', 0], ['GET', 400], ['POST', 1200], ['GET', 0],
    ['PUT', 1200], ['HEAD', 1200], ['GET', 1200], ['POST', 400], ['GET', 0]];
const BODY = Buffer.alloc(3000, 'x');
const isSafe = (method) => method === 'GET' || method === 'HEAD';

function newPhase(name) {
    return {
        name, began: now(), requests: [], lastAnswer: now(), gap: 0, disconnected: 0,
        ws: { closed: {}, byTarget: {}, refused: {}, opened: 0, wrong: 0, slowestEcho: 0 },
    };
}
let phase = newPhase('start');
const count = (object, key) => {
    object[key] = (object[key] || 0) + 1;
};

// WebSockets ---------------------------------------------------------------------------------------------------

class Socket {
    constructor(index) {
        this.index = index;
        this.isOpen = false;
        this.echoed = 0; // ever
        this.open();
        setTimeout(() => setInterval(() => this.send(), 1000), (index * 1000) / sockets);
    }

    open() {
        this.sent = this.received = 0;
        this.target = null;
        this.times = [];
        const ws = new WebSocket(`wss://${host}/echo`,
            { perMessageDeflate: false, localAddress: from[this.index % from.length], lookup, handshakeTimeout: 30000 });
        this.ws = ws;
        ws.on('message', (data) => this.message(data.toString()));
        ws.on('unexpected-response', (request, response) => {
            count(phase.ws.refused, response.statusCode);
            request.destroy();
            this.again(250);
        });
        ws.on('error', () => {});
        ws.on('close', (code) => {
            if (!this.isOpen)
                return void this.again(250);
            this.isOpen = false;
            count(phase.ws.closed, code);
            count(phase.ws.byTarget, this.target);
            this.again(100);
        });
    }

    again(milliseconds) {
        if (this.ws)
            setTimeout(() => this.open(), milliseconds);
        this.ws = null; // once for each attempt
    }

    message(text) {
        if (this.target === null) {
            this.target = text;
            this.isOpen = true;
            phase.ws.opened++;
            opened++;
            return;
        }
        if (text !== String(this.received + 1))
            phase.ws.wrong++;
        this.received++;
        this.echoed++;
        phase.ws.slowestEcho = Math.max(phase.ws.slowestEcho, now() - this.times.shift());
    }

    send() {
        if (!this.isOpen)
            return;
        this.times.push(now());
        this.ws.send(String(++this.sent));
    }
}

// Requests -----------------------------------------------------------------------------------------------------

// One that the edge keeps closes only when it must: none is idle for as long as web_limits.idle_seconds.
function watched(connection) {
    return connection.on('close', () => { phase.disconnected++; });
}

class Agent extends https.Agent {
    createConnection(...args) {
        return watched(super.createConnection(...args));
    }
}
const agents = from.map((localAddress) => new Agent({ keepAlive: true, scheduling: 'fifo', localAddress }));
const sessions = [];

function session(index) {
    if (!sessions[index] || sessions[index].closed || sessions[index].destroyed) {
        const fresh = http2.connect(`https://${host}`, {
            createConnection: () => watched(tls.connect({ host: address, port: 443, servername: host, ALPNProtocols: ['h2'],
                localAddress: from[index] })),
        });
        const drop = () => {
            if (sessions[index] === fresh)
                sessions[index] = null;
        };
        fresh.on('error', drop).on('goaway', drop).on('close', drop);
        sessions[index] = fresh;
    }
    return sessions[index];
}

function over(request, status, retryAfter, error, body) {
    if (request.done)
        return;
    const at = now();
    Object.assign(request, { done: true, status, retryAfter, error, took: at - request.began });
    if (status === 200 && request.method !== 'HEAD' && body !== request.id)
        request.error = 'another body';
    if (status === 200) {
        phase.gap = Math.max(phase.gap, at - phase.lastAnswer);
        phase.lastAnswer = at;
    }
}

function ask1(request, index) {
    const sent = https.request({
        host, port: 443, lookup, agent: agents[index], method: request.method, path: request.path,
        headers: request.body ? { 'content-length': BODY.length } : {},
    }, (response) => {
        let text = '';
        response.on('data', (data) => { text += data; });
        response.on('error', (error) => over(request, 0, null, error.code, ''));
        response.on('end', () => over(request, response.statusCode, response.headers['retry-after'], null, text));
    });
    sent.on('error', (error) => over(request, 0, null, error.code || error.message, ''));
    sent.end(request.body);
}

function ask2(request, index) {
    const stream = session(index).request({ ':method': request.method, ':path': request.path }, { endStream: !request.body });
    let text = '';
    let head = {};
    stream.on('response', (fields) => { head = fields; });
    stream.on('data', (data) => { text += data; });
    stream.on('error', (error) => { stream.failure = error.code; });
    stream.on('close', () => {
        const failed = stream.failure || (head[':status'] ? null : `closed ${stream.rstCode}`);
        over(request, failed ? 0 : head[':status'], head['retry-after'], failed, text);
    });
    if (request.body)
        stream.end(request.body);
}

let asked = 0;
function askNext() {
    const [method, wait] = KINDS[asked % KINDS.length];
    const version = asked % 2 + 1;
    const id = `r${process.pid}x${asked}`;
    const request = {
        id, method, wait, version, began: now(), done: false, path: `/id/${id}?wait=${wait}`,
        body: isSafe(method) ? undefined : BODY,
    };
    asked++;
    phase.requests.push(request);
    (version === 1 ? ask1 : ask2)(request, asked % from.length);
}

// The control side ---------------------------------------------------------------------------------------------

// How often each id reached a bridge.
function sightings() {
    const seen = new Map();
    for (const line of fs.readFileSync(bridgeLog, 'utf8').split('\n')) {
        const id = line.split(' ')[0];
        seen.set(id, (seen.get(id) || 0) + 1);
    }
    return seen;
}

function report(p) {
    const seen = sightings();
    const result = {
        phase: p.name, milliseconds: now() - p.began, gap: p.gap, disconnected: p.disconnected, slowest: 0, answers: {}, lost: [], twice: [], never: [],
        resent: 0, failedUnseen: 0, failedSeen: 0, withoutRetryAfter: 0, wrong: 0, ws: p.ws,
    };
    for (const r of p.requests) {
        const times = seen.get(r.id) || 0;
        const answered = r.status === 200;
        const outcome = r.done ? r.status || r.error : 'none';
        result.answers[r.method] = result.answers[r.method] || {};
        count(result.answers[r.method], outcome);
        result.slowest = Math.max(result.slowest, r.took || 0);
        result.wrong += answered && r.error ? 1 : 0;
        if (answered && times === 0)
            result.never.push(r.id);
        if (!isSafe(r.method) && times > 1)
            result.twice.push(r.id);
        if (isSafe(r.method) && times > 1)
            result.resent++;
        if (isSafe(r.method) && !answered)
            result.lost.push(`${r.method} ${outcome} HTTP/${r.version} ${r.took} ms, seen ${times}`);
        if (!isSafe(r.method) && !answered)
            result[times ? 'failedSeen' : 'failedUnseen']++;
        if (r.status >= 502 && !r.retryAfter)
            result.withoutRetryAfter++;
    }
    return result;
}

const all = [];
let opened = 0;
const openSockets = () => all.filter((socket) => socket.isOpen).length;

const COUNTS = {
    opened: () => opened,
    running: () => phase.requests.filter((r) => !r.done).length,
    stuck: () => phase.requests.filter((r) => !r.done && isSafe(r.method) && r.began < now() - 3000).length,
};

function whenSettled(p, then) {
    const marks = all.map((socket) => socket.echoed);
    const until = now() + SETTLE_MS;
    const look = () => {
        const settled = p.requests.every((r) => r.done) && all.every((s, i) => s.isOpen && s.echoed > marks[i]);
        if (settled || now() > until)
            then();
        else
            setTimeout(look, 20);
    };
    look();
}

http.createServer((request, response) => {
    const [, what, name] = request.url.split('/');
    if (what === 'begin') {
        const underWay = phase.requests.filter((r) => !r.done);
        phase = newPhase(name);
        phase.requests = underWay;
    }
    if (what !== 'end') {
        response.end(`${(COUNTS[what] || openSockets)()}\n`);
        return;
    }
    const ended = phase;
    ended.gap = Math.max(ended.gap, now() - ended.lastAnswer);
    phase = newPhase('between');
    phase.ws = ended.ws; // what closes while the last requests end still belongs to it
    whenSettled(ended, () => response.end(JSON.stringify(report(ended)) + '\n'));
}).listen(Number(controlPort), '127.0.0.1');

for (let i = 0; i < Number(sockets); i++)
    setTimeout(() => all.push(new Socket(i)), i * 4);
setInterval(askNext, 1000 / Number(rate));
