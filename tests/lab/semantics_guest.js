#!/usr/bin/env node
// A guest for semantics_bridge.js behind both boxes: asks over HTTP/1.1 and HTTP/2 and prints {"name", "got", "wanted"} for
// each thing that must hold.
'use strict';
const http2 = require('http2');
const https = require('https');
const tls = require('tls');

const HOST = 'join.example.com';

// {status, headers, trailers, interim, body}
function ask1(path, { method = 'GET', headers = {}, body, trailers } = {}) {
    return new Promise((resolve, reject) => {
        const request = https.request({ host: HOST, path, method, headers, agent: false }, (response) => {
            let text = '';
            response.on('data', (chunk) => { text += chunk; });
            response.on('end', () => {
                request.destroy();
                resolve({ status: response.statusCode, headers: response.headers, trailers: response.trailers, interim, body: text });
            });
            response.on('error', reject);
        });
        const interim = [];
        request.on('information', (info) => interim.push(info.statusCode));
        request.on('error', (error) => error.code === 'EPIPE' || error.code === 'ECONNRESET' || reject(error));
        if (trailers)
            request.addTrailers(trailers);
        request.end(body);
    });
}

function ask2(path, { method = 'GET', headers = {}, body, trailers } = {}) {
    return new Promise((resolve, reject) => {
        const session = http2.connect(`https://${HOST}`);
        const result = { trailers: {}, interim: [], body: '' };
        const stream = session.request({ ':method': method, ':path': path, ...headers }, { waitForTrailers: !!trailers, endStream: !body && !trailers });
        stream.on('wantTrailers', () => stream.sendTrailers(trailers));
        stream.on('headers', (fields) => result.interim.push(fields[':status']));
        stream.on('response', (fields) => Object.assign(result, { status: fields[':status'], headers: fields }));
        stream.on('trailers', (fields) => { result.trailers = { ...fields }; });
        stream.on('data', (chunk) => { result.body += chunk; });
        stream.on('close', () => {
            session.destroy();
            resolve(result);
        });
        stream.on('error', (error) => result.status || reject(error));
        if (body || trailers)
            stream.end(body);
    });
}

// The guest's side is shut before the answer has come.
function halfClosed() {
    return new Promise((resolve) => {
        const socket = tls.connect({ host: HOST, port: 443, servername: HOST, ALPNProtocols: ['http/1.1'], allowHalfOpen: true });
        let text = '';
        socket.on('secureConnect', () => socket.end(`PUT /slow HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 3\r\n\r\nabc`));
        socket.on('data', (data) => { text += data; });
        socket.on('close', () => resolve(text.split('\r\n\r\n')[1] || text));
        socket.on('error', (error) => resolve(String(error)));
    });
}

const say = (name, got, wanted) => console.log(JSON.stringify({ name, got, wanted }));

async function over(version, ask) {
    const name = (text) => `${version}: ${text}`;
    let a = await ask('/what', { method: 'PUT', body: 'abc', trailers: { 'x-sum': '7', host: 'lie' }, headers: version === 'h1' ? { 'transfer-encoding': 'chunked', trailer: 'x-sum' } : {} });
    const { fields, bytes, trailers } = JSON.parse(a.body);
    say(name('a request\'s trailers come to the bridge, without those that would route'), trailers, { 'x-sum': '7' });
    say(name('and its body'), bytes, 3);
    say(name('the bridge sees the join host'), fields.host, HOST);
    a = await ask('/what', { headers: { 'x-forwarded-for': '6.6.6.6', forwarded: 'for=6.6.6.6', 'x-real-ip': '6.6.6.6', via: '1.0 elsewhere',
        'x-forwarded-host': 'other', te: 'trailers', ...(version === 'h1' ? { connection: 'x-gone, close', 'x-gone': '1', 'keep-alive': '5', 'proxy-connection': 'x' } : {}) } });
    const seen = JSON.parse(a.body).fields;
    say(name('who the guest is, is said by the edge'), [/6\.6\.6\.6/.test(JSON.stringify(seen)), seen['x-forwarded-for'] === seen['x-real-ip'],
        seen['x-forwarded-proto'], seen['x-forwarded-host']], [false, true, 'https', HOST]);
    say(name('Forwarded'), seen.forwarded.replace(/^for=[^;]+/, 'for=...'), `for=...;host="${HOST}";proto=https`);
    say(name('Via names every hop'), seen.via, `1.0 elsewhere, ${version === 'h1' ? '1.1' : '2.0'} stile-edge, 2.0 stile-core`);
    say(name('nothing of one hop goes on'), ['x-gone', 'keep-alive', 'proxy-connection', 'upgrade'].filter((field) => field in seen), []);
    a = await ask('/hop');
    say(name('nor comes back'), ['x-secret', 'proxy-authenticate', 'alt-svc', 'x-kept'].filter((field) => field in a.headers), ['x-kept']);
    a = await ask('/trailers', { headers: { te: 'trailers' } });
    say(name('an answer\'s trailers come to the guest'), [a.body, a.trailers], ['body', { 'x-sum': '42' }]);
    a = await ask('/hints'); // RFC 8297 §3: old clients of HTTP/1 would take them for the answer
    say(name('early hints'), [a.interim, a.status, a.body], [version === 'h1' ? [] : [103], 200, 'hinted']);
    a = await ask('/204', { method: 'DELETE' });
    say(name('204 has neither body nor length'), [a.status, a.body, a.headers['content-length'] || null], [204, '', null]);
    a = await ask('/304');
    say(name('304 has a length and no body'), [a.status, a.body, a.headers.etag], [304, '', '"x"']);
    a = await ask('/empty');
    say(name('an empty answer'), [a.status, a.body, a.headers['content-length']], [200, '', '0']);
    a = await ask('/head', { method: 'HEAD' });
    say(name('HEAD has a length and no body'), [a.status, a.body, a.headers['content-length']], [200, '', '1234']);
    a = await ask('/what', { method: 'PUT', body: Buffer.alloc(5000000, 'x') });
    say(name('a large body'), JSON.parse(a.body).bytes, 5000000);
    a = await ask('*', { method: 'OPTIONS' }).catch(() => ({ status: 'reset' }));
    say(name('OPTIONS for the whole server is not for guests'), a.status, 400);
}

async function main() {
    await over('h1', ask1);
    await over('h2', ask2);
    const a = await ask1('/too-large', { method: 'PUT', body: Buffer.alloc(20000000, 'x') });
    say('h1: an answer before the end of a large upload', [a.status, a.body], [413, 'enough']);
    say('h1: a guest that shuts its side still gets its answer', await halfClosed(), 'slow');
    say('end', true, true);
}

main().catch((error) => say('the guest itself', String(error.stack), ''));
