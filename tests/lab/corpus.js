#!/usr/bin/env node
// Sends the cases of tests/corpus/http1 as a guest, byte by byte as they stand there (the language is at the top of
// framing.txt), and prints one JSON line for each: {"name", "expected": [status...], "got": [status...], "core"}.
//
//   corpus.js HOST FILE...
'use strict';
const fs = require('fs');
const tls = require('tls');

const escapes = { r: '\r', n: '\n', t: '\t', 0: '\0', '\\': '\\' };

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
            current = { name: line.slice(4), expected: [], core: 0, bytes: '' };
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
function play(host, one) {
    return new Promise((resolve) => {
        const socket = tls.connect({ host, port: 443, servername: host, ALPNProtocols: ['http/1.1'] });
        let text = '';
        const answers = () => [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1])).filter((status) => status !== 100);
        const done = () => {
            socket.destroy();
            resolve(answers());
        };
        let timer = setTimeout(done, 10000);
        socket.on('secureConnect', () => socket.write(Buffer.from(one.bytes, 'latin1')));
        socket.on('data', (data) => {
            text += data.toString('latin1');
            if (answers().length < one.expected.length)
                return;
            clearTimeout(timer);
            timer = setTimeout(done, 50);
        });
        socket.on('error', done);
        socket.on('close', done);
    });
}

async function main(host, files) {
    for (const file of files)
        for (const one of cases(file))
            console.log(JSON.stringify({ name: one.name, core: one.core, expected: one.expected, got: await play(host, one) }));
}

main(process.argv[2], process.argv.slice(3));
