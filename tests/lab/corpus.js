#!/usr/bin/env node
// Sends the cases of tests/corpus/http1 as a guest, byte by byte as they stand there (the language is at the top of
// framing.txt), and prints one JSON line for each: {"file", "name", "expected": [status...], "got": [status...], "core"}.
//
//   corpus.js [OPTION VALUE]... HOST FILE...
//
//   --port N      the first port of the server (443)
//   --lanes N     so many connections at once, each to a port of its own: N, N + 1, ... (1)
//   --record F    what recorder.js wrote: adds "reached": [{"line", "flaws", "whole"}...], the requests that came of each case
//   --record-port N   where the recorder of the first lane listens (443)
//   --program P   no server: P reads a case's bytes and prints statuses, and on a second line how many requests it took
//   --patience MS what a server may take that does not answer as it is written (10000)
//
// Interim answers (100) are not listed.
'use strict';
const { spawnSync } = require('child_process');
const fs = require('fs');
const path = require('path');
const tls = require('tls');
const { options: optionsOf, reader } = require('./corpus_play.js');

const escapes = { r: '\r', n: '\n', t: '\t', 0: '\0', '\\': '\\' };
const QUIET = 50; // ms in which no further answer may come

function decode(text) {
    return text.replace(/\\(x[0-9a-f]{2}|.)/g, (_, what) =>
        what[0] === 'x' ? String.fromCharCode(parseInt(what.slice(1), 16)) : escapes[what]);
}

function* cases(file) {
    let current;
    for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
        if (line.startsWith('=== ')) {
            if (current)
                yield current;
            current = { file: path.basename(file, '.txt'), name: line.slice(4), expected: [], core: 0, bytes: '' };
        } else if (line.startsWith('> ')) {
            current.bytes += decode(line.slice(2));
        } else if (line.startsWith('expect ')) {
            current.expected = line.slice(7).split(' ').map(Number);
        } else if (line.startsWith('core ')) {
            current.core = Number(line.slice(5));
        }
    }
    yield current;
}

// Until as many answers have come as are expected, and a moment longer, in which no further one may come.
function play(host, port, patience, one) {
    return new Promise((resolve) => {
        const socket = tls.connect({ host, port, servername: 'join.example.com', ALPNProtocols: ['http/1.1'] });
        let text = '';
        const answers = () => [...text.matchAll(/HTTP\/1\.[01] (\d{3}) /g)].map((match) => Number(match[1]))
            .filter((status) => status !== 100);
        const done = () => {
            clearTimeout(timer);
            socket.destroy();
            resolve(answers());
        };
        let timer = setTimeout(done, 10000);
        const wait = (ms) => {
            clearTimeout(timer);
            timer = setTimeout(done, ms);
        };
        socket.on('secureConnect', () => {
            socket.write(Buffer.from(one.bytes, 'latin1'));
            wait(patience);
        });
        socket.on('data', (data) => {
            text += data.toString('latin1');
            wait(answers().length < one.expected.length ? patience : QUIET);
        });
        socket.on('error', done);
        socket.on('close', done);
    });
}

function read(program, one) {
    const [statuses, taken] = spawnSync(program, { input: Buffer.from(one.bytes, 'latin1') }).stdout.toString().split('\n');
    return { got: statuses.split(' ').filter(Boolean).map((word) => Number(word) || word), taken: Number(taken) };
}

async function lane(options, index, todo) {
    const { host, port, patience, program } = options;
    const reached = options.record && reader(options.record, options.recordPort + index);
    if (reached)
        reached();
    for (let one = todo.shift(); one; one = todo.shift()) {
        const { bytes, ...known } = one;
        const result = program ? { ...known, ...read(program, one) } : { ...known, got: await play(host, port + index, patience, one) };
        if (reached)
            result.reached = reached();
        console.log(JSON.stringify(result));
    }
}

async function main(args) {
    const options = optionsOf(args);
    const todo = args.flatMap((file) => [...cases(file)]);
    await Promise.all([...Array(options.lanes).keys()].map((index) => lane(options, index, todo)));
}

main(process.argv.slice(2));
