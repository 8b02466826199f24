// What corpus.js and corpus_h2.js share: their options, and what a recorder has written.
'use strict';
const fs = require('fs');

// Takes the options off args; what stays are files.
function options(args) {
    const value = (name, otherwise) => {
        const at = args.indexOf(`--${name}`);
        return at < 0 ? otherwise : args.splice(at, 2)[1];
    };
    const all = { port: Number(value('port', 443)), lanes: Number(value('lanes', 1)), record: value('record'),
        recordPort: Number(value('record-port', 443)), patience: Number(value('patience', 10000)), program: value('program') };
    return { ...all, host: args.shift() };
}

// A function that tells what has come to a recorder's port since it was last asked.
function reader(file, port) {
    let seen = 0;
    return () => {
        const all = fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line))
            .filter((one) => one.port === port);
        const whole = new Set(all.filter((one) => one.whole).map((one) => one.id)), heads = all.filter((one) => one.line);
        const fresh = heads.slice(seen);
        seen = heads.length;
        return fresh.map(({ id, line, flaws }) => ({ line, flaws, whole: whole.has(id) }));
    };
}

module.exports = { options, reader };
