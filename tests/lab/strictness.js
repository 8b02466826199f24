#!/usr/bin/env node
// The tables of docs/strictness.md from what test_strictness.sh has left in DIR: strictness.js DIR
'use strict';
const fs = require('fs');

const read = (file) => fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
const key = (one) => `${one.file}: ${one.name}`;
const row = (...cells) => console.log(`| ${cells.join(' | ')} |`);

// "200 400 → 1" : the answers, and how many requests came to the bridge whole; what was wrong with their heads.
function seen(one, answers) {
    const flaws = [...new Set((one.reached || []).flatMap((request) => request.flaws))];
    const count = one.reached ? one.reached.filter((request) => request.whole).length : one.taken;
    return `${answers || 'none'}${count === undefined ? '' : ` → ${count}`}${flaws.length ? ` (${flaws.join('; ')})` : ''}`;
}

// Events without the numbers of their streams, each once; the end of a connection goes without saying.
const short = (events) => [...new Set(events.filter((event) => event !== 'closed' && event !== 'goaway NO_ERROR')
    .map((event) => event.replace(/^(answer|reset) \S+ /, (_, what) => what === 'reset' ? 'reset ' : '')))].join(', ');

function table(dir, suffix, others, heading, cell, own) {
    const [stile, ...peers] = ['stile', ...others].map((party) => new Map(read(`${dir}/${party}${suffix}`).map((one) => [key(one), one])));
    row(...heading);
    console.log(`|${heading.map(() => '---').join('|')}|`);
    for (const [name, one] of stile)
        row(name.replace(/\|/g, '\\|'), own(one), ...peers.map((peer) => cell(peer.get(name))));
}

function main(dir) {
    console.log('### HTTP/1\n');
    const codes = (one) => seen(one, one.got.join(' '));
    table(dir, '.json', ['nginx', 'haproxy', 'llhttp'], ['Request', 'Stile', 'nginx', 'haproxy', 'llhttp'], codes, codes);
    console.log('\n### HTTP/2\n');
    // Of Stile what the corpus expects; that nothing came beside it but what may is another claim of the test.
    table(dir, '.h2.json', ['nginx', 'haproxy'], ['Frames', 'Stile', 'nginx', 'haproxy'],
        (one) => one.file === 'floods' ? short(one.got) || 'none' : seen(one, short(one.got)),
        (one) => short(one.expected.filter((wanted) => !one.wrong.includes(`no ${wanted}`))));
}

main(process.argv[2]);
