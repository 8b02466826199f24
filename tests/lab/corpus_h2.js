#!/usr/bin/env node
// Plays the cases of tests/corpus/http2 as a guest: frames by hand (the language is at the top of
// tests/unit/test_corpus_http2.c, which plays the same to a worker alone). Options and output are those of corpus.js;
// "expected" and "got" are texts such as "answer 1 200", "reset 1 PROTOCOL_ERROR", "goaway COMPRESSION_ERROR", "closed", and
// "wrong" lists what is missing and what is too much. Counters of abuse are not looked at here.
'use strict';
const fs = require('fs');
const path = require('path');
const tls = require('tls');
const h2 = require('./h2_raw.js');
const { options: optionsOf, reader } = require('./corpus_play.js');

const requests = { '@get': ['GET', '/hello'], '@post': ['POST', '/echo'], '@never': ['GET', '/never'] };
const unescape = (text) => text.replace(/\\(.)/g, (_, c) => ({ r: '\r', n: '\n', 0: '\0' }[c] || c));

// "0011 *4:ff" : bytes, and repeated ones.
const hex = (text) => Buffer.concat(text.split(' ').filter(Boolean).map((word) => {
    const [, times, bytes] = /^(?:\*(\d+):)?(.*)$/.exec(word);
    return Buffer.concat(Array(Number(times || 1)).fill(Buffer.from(bytes, 'hex')));
}));

function fieldsOf(line) {
    const repeat = /^repeat-field (\d+) (.*)$/.exec(line);
    if (repeat)
        return Buffer.concat(Array(Number(repeat[1])).fill(fieldsOf(repeat[2])));
    if (requests[line]) {
        const [method, target] = requests[line];
        return Buffer.concat([h2.field(':method', method), h2.field(':scheme', 'https'),
            h2.field(':authority', 'join.example.com'), h2.field(':path', target)]);
    }
    const at = line.indexOf(': ', 1), value = line.slice(at + 2);
    return h2.field(unescape(line.slice(0, at)), value[0] === '=' ? 'v'.repeat(Number(value.slice(1))) : unescape(value));
}

// One case's lines to bytes and expectations.
function compile(one) {
    const out = [h2.acknowledgement];
    one.opening = h2.opening;
    let head = null, last = -1;
    const streamId = (word) => {
        last = word === '*' ? last + 2 : word === '.' ? last : Number(word);
        return last;
    };
    const finish = () => {
        if (head)
            out.push(h2.frame(head.type, head.flags, head.id, Buffer.concat(head.block)));
        head = null;
    };
    const take = (line) => {
        if (!line || line[0] === '#')
            return;
        if (head && (line[0] === '@' || line.indexOf(': ', 1) > 0)) {
            head.block.push(fieldsOf(line));
            return;
        }
        finish();
        const [word, ...words] = line.split(' '), rest = words.join(' ');
        if (word === 'headers' || word === 'continuation')
            head = { type: word.toUpperCase(), id: streamId(words[0]), block: [],
                flags: (words.includes('open') ? 0 : h2.END_HEADERS) | (words.includes('end') ? h2.END_STREAM : 0) };
        else if (word === 'data')
            out.push(h2.frame('DATA', words[1] === 'end' ? 1 : 0, streamId(words[0]),
                Buffer.from(unescape(words.slice(words[1] === 'end' ? 2 : 1).join(' ')), 'latin1')));
        else if (word === 'frame')
            out.push(h2.frame(h2.TYPES.includes(words[0]) ? words[0] : Number(words[0]), Number(words[1]),
                Number(words[2]) > 0x7fffffff ? Number(words[2]) : streamId(words[2]), hex(words.slice(3).join(' '))));
        else if (word === 'raw')
            out.push(Buffer.from(unescape(rest), 'latin1'));
        else if (word === 'no-preface')
            out.length = one.opening = 0;
        else if (word === 'slowly')
            one.slowly = true;
        else if (word === 'expect')
            one.expected.push(rest);
        else if (word === 'core')
            one.core = rest === '*' ? Infinity : Number(rest);
        else if (word !== 'abuse')
            throw new Error(`${one.name}: what is this? ${line}`);
    };
    for (let i = 0; i < one.lines.length; i++) {
        const repeat = /^repeat (\d+)$/.exec(one.lines[i]);
        if (!repeat) {
            take(one.lines[i]);
            continue;
        }
        const done = one.lines.indexOf('done', i);
        finish();
        for (let n = Number(repeat[1]); n > 0; n--) {
            one.lines.slice(i + 1, done).forEach(take);
            finish();
        }
        i = done;
    }
    finish();
    return { ...one, bytes: Buffer.concat(out) };
}

function cases(file) {
    const all = [];
    for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
        if (line.startsWith('=== '))
            all.push({ file: path.basename(file, '.txt'), name: line.slice(4), expected: [], core: 0, lines: [] });
        else if (all.length)
            all[all.length - 1].lines.push(line);
    }
    return all.map(compile);
}

const text = (event) => event.kind === 'goaway' ? `goaway ${event.value}` : `${event.kind} ${event.id} ${event.value}`;
const fits = (wanted, event) => wanted === text(event) ||
    (/^\w+ \* /.test(wanted) && wanted === `${event.kind} * ${event.value}`);

// What was expected and did not come, and what came beside it: but a GOAWAY without an error, and the resets that an
// answer to a flood begins with.
function judge(one, seen) {
    const any = one.expected.some((wanted) => / \* /.test(wanted)), goaway = one.expected.some((wanted) => /^goaway/.test(wanted));
    return [...one.expected.filter((wanted) => !seen.some((event) => fits(wanted, event))).map((wanted) => `no ${wanted}`),
        ...seen.filter((event) => event.kind !== 'pong' && text(event) !== 'goaway NO_ERROR' && event.value !== 'NO_ERROR' &&
            !(event.kind === 'reset' && (any || goaway)) && !one.expected.some((wanted) => fits(wanted, event))).map(text)];
}

function play(host, port, patience, one) {
    return new Promise((resolve) => {
        const socket = tls.connect({ host, port, servername: 'join.example.com', ALPNProtocols: ['h2'] });
        const seen = [];
        let timer, pinged = false, closed = false;
        const done = () => {
            clearTimeout(timer);
            socket.destroy();
            resolve({ seen, closed });
        };
        const next = () => {
            if (pinged || closed) {
                done();
                return;
            }
            pinged = true;
            socket.write(h2.frame('PING', 0, 0, Buffer.from('behind..')));
            wait(patience);
        };
        const wait = (ms) => {
            clearTimeout(timer);
            timer = setTimeout(next, ms);
        };
        const read = h2.reader((event) => {
            seen.push(event);
            if (event.kind === 'pong' && event.value === 'behind..')
                done();
            else if (!pinged && one.expected.every((wanted) => seen.some((e) => fits(wanted, e))))
                wait(0);
            else if (!pinged)
                wait(patience);
        });
        const begin = () => send(socket, one, () => wait(patience));
        socket.on('secureConnect', () => one.opening ? socket.write(one.opening) : begin());
        if (one.opening)
            socket.once('data', begin);
        socket.on('data', read);
        socket.on('error', () => { });
        socket.on('close', () => {
            closed = true;
            done();
        });
        wait(10000);
    });
}

// Calls then() when all has been written.
function send(socket, one, then) {
    const step = one.slowly ? 1024 : one.bytes.length;
    const more = (at) => {
        if (at >= one.bytes.length || socket.destroyed)
            then();
        else
            socket.write(one.bytes.subarray(at, at + step), () => one.slowly ? setTimeout(more, 1, at + step) : more(at + step));
    };
    more(0);
}

async function lane(options, index, todo) {
    const reached = options.record && reader(options.record, options.recordPort + index);
    if (reached)
        reached();
    for (let one = todo.shift(); one; one = todo.shift()) {
        const { seen, closed } = await play(options.host, options.port + index, options.patience, one);
        const events = [...new Set(seen.filter((event) => event.kind !== 'pong').map(text))];
        console.log(JSON.stringify({ file: one.file, name: one.name, core: one.core === Infinity ? null : one.core,
            expected: one.expected, got: [...events, ...(closed ? ['closed'] : [])], wrong: judge(one, seen),
            ...(reached && { reached: reached() }) }));
    }
}

async function main(args) {
    const options = optionsOf(args);
    const todo = args.flatMap(cases);
    await Promise.all([...Array(options.lanes).keys()].map((index) => lane(options, index, todo)));
}

main(process.argv.slice(2));
