#!/usr/bin/env node
// Plays tests/corpus/allowlist (its language is at the top of paths.txt there) and prints one JSON line for each case that
// the way can carry: {"name", "expected", "got": a status, or "refused" for a stream or connection that was ended}.
//
//   allowlist.js h1 ADDRESS FILE...    as a guest over HTTP/1.1, with the name in the handshake that the case gives
//   allowlist.js h2 ADDRESS FILE...    as a guest over HTTP/2
//   allowlist.js core OUT FILE...      into core, on standard input and output as `stile-edge attach` has them; lines go to
//                                      OUT, and {"end": true} behind them
'use strict';
const fs = require('fs');
const tls = require('tls');
const h2 = require('./h2_raw.js');

const unescape = (text) => text.replace(/\\(x[0-9a-f]{2}|.)/g, (_, what) =>
    what[0] === 'x' ? String.fromCharCode(parseInt(what.slice(1), 16)) : { r: '\r', n: '\n', t: '\t' }[what] || what);

function cases(file) {
    const all = [];
    let one;
    for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
        const [word, ...words] = line.split(' '), rest = words.join(' ');
        if (word === '===')
            all.push(one = { name: rest, fields: [], h2: [] });
        else if (!one || line.startsWith('  '))
            continue;
        else if (word === '>')
            [one.method, one.host, one.target] = [words[0], unescape(words[1]), unescape(words.slice(2).join(' '))];
        else if (word === '+')
            one.fields.push(rest.split(': '));
        else if (word === 'h2')
            one.h2.push(/^(:?[^:]*): (.*)$/s.exec(unescape(rest)).slice(1));
        else if (word === 'h1')
            one.h1 = unescape(rest);
        else if (word)
            one[word] = rest || true;
    }
    return all;
}

const opening = [['Connection', 'Upgrade'], ['Upgrade', 'websocket'], ['Sec-WebSocket-Version', '13'], ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ==']];

function bytesOf(one) {
    if (one.h1 || !one.method)
        return one.h1;
    const fields = [['Host', one.host], ...one.fields, ...(one.websocket ? opening : []), ...(one.method === 'POST' ? [['Content-Length', '0']] : [])];
    return `${one.method} ${one.target} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

function fieldsOf(one) {
    if (one.h2.length || !one.method)
        return one.h2;
    return [[':method', one.websocket ? 'CONNECT' : one.method], ...(one.websocket ? [[':protocol', 'websocket']] : []),
        [':scheme', 'https'], [':authority', one.host], [':path', one.target],
        ...one.fields.map(([name, value]) => [name.toLowerCase(), value]), ...(one.websocket ? [['sec-websocket-version', '13']] : [])];
}

const connect = (address, one, protocol) => tls.connect({ host: address, port: 443, ALPNProtocols: [protocol],
    servername: one.sni || 'narrow.example.com', rejectUnauthorized: false });

function playH1(address, one) {
    return new Promise((resolve) => {
        const socket = connect(address, one, 'http/1.1');
        let text = '';
        socket.setTimeout(10000, () => resolve('nothing'));
        socket.on('secureConnect', () => socket.write(Buffer.from(bytesOf(one), 'latin1')));
        socket.on('data', (data) => {
            text += data.toString('latin1');
            const status = /^HTTP\/1\.1 (\d{3}) /.exec(text);
            if (status)
                resolve(Number(status[1])), socket.destroy();
        });
        socket.on('error', () => resolve('refused'));
        socket.on('close', () => resolve('refused'));
    });
}

// One HTTP/2 connection on a stream of bytes; ask(fields) tells the status, or "refused".
function client(stream) {
    const waiting = new Map();
    let next = 1, gone = false;
    const end = () => {
        gone = true;
        for (const resolve of waiting.values())
            resolve('refused');
    };
    const read = h2.reader(({ kind, id, value }) => {
        if ((kind === 'answer' || kind === 'reset') && waiting.has(id)) {
            waiting.get(id)(kind === 'answer' ? value : 'refused');
            waiting.delete(id);
        } else if (kind === 'goaway') {
            end();
        }
    });
    stream.on('data', read);
    stream.on('close', end);
    stream.on('error', end);
    stream.once('data', () => stream.write(h2.acknowledgement));
    stream.write(h2.opening);
    return (fields, open) => new Promise((resolve) => {
        const id = next;
        if (gone) {
            resolve('refused');
            return;
        }
        next += 2;
        waiting.set(id, resolve);
        stream.write(h2.frame('HEADERS', h2.END_HEADERS | (open ? 0 : h2.END_STREAM), id,
            Buffer.concat(fields.map(([name, value]) => h2.field(name, value)))));
    });
}

function playH2(address, one) {
    return new Promise((resolve) => {
        const socket = connect(address, one, 'h2');
        socket.setTimeout(10000, () => resolve('nothing'));
        socket.on('error', () => resolve('refused'));
        socket.on('secureConnect', async () => {
            resolve(await client(socket)(fieldsOf(one), one.websocket));
            socket.destroy();
        });
    });
}

async function playCore(out, all) {
    const { Duplex } = require('stream');
    const ask = client(Duplex.from({ readable: process.stdin, writable: process.stdout }));
    const say = (what) => fs.appendFileSync(out, JSON.stringify(what) + '\n');
    for (const one of all.filter((it) => !it.guest && fieldsOf(it).length))
        say({ name: one.name, expected: one.expect, got: await ask(fieldsOf(one), one.websocket) });
    say({ end: true });
}

async function main(way, where, ...files) {
    const all = files.flatMap(cases);
    if (way === 'core') {
        await playCore(where, all);
        return;
    }
    const todo = all.filter((one) => way === 'h1' ? bytesOf(one) : fieldsOf(one).length);
    const lane = async () => {
        for (let one = todo.shift(); one; one = todo.shift())
            console.log(JSON.stringify({ name: one.name, expected: one.expect, got: await (way === 'h1' ? playH1 : playH2)(where, one) }));
    };
    await Promise.all([lane(), lane(), lane(), lane()]);
}

main(...process.argv.slice(2));
