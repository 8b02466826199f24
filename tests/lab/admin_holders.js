// admin_holders.js READER-COOKIE WRITER-COOKIE LEAVER-COOKIE LEAVER-CSRF : to the admin service on 127.0.0.1, connections that are held. Says, a
// line each, how many of them lasted.
'use strict';
const net = require('net');
const tls = require('tls');

const [reader, writer, leaver, csrf] = process.argv.slice(2);

// A connection from the nth address; what it has heard so far, and whether it is over.
function connection(n) {
    return new Promise((resolve) => {
        const socket = tls.connect({ socket: net.connect({ host: '127.0.0.1', port: 445, localAddress: `127.0.0.${n}` }), rejectUnauthorized: false });
        const c = { socket, text: '', over: false, waiters: [] };
        const turn = () => c.waiters.splice(0).forEach((w) => w());
        socket.on('data', (data) => { c.text += data; turn(); });
        socket.on('close', () => { c.over = true; turn(); resolve(c); });
        socket.on('error', () => {});
        socket.on('secureConnect', () => resolve(c));
    });
}

// The next answer's status (its body is short, and comes with its head or after it), 0: none came.
async function ask(c, method, path, cookie, more = '') {
    c.text = '';
    c.socket.write(`${method} ${path} HTTP/1.1\r\nHost: x\r\nCookie: ${cookie}\r\n${more}\r\n`);
    for (;;) {
        const end = c.text.indexOf('\r\n\r\n');
        const length = end > 0 && /content-length: (\d+)/i.exec(c.text);
        if (end > 0 && (!length || c.text.length >= end + 4 + Number(length[1])))
            return Number(c.text.slice(9, 12));
        if (c.over)
            return 0;
        await new Promise((resolve) => c.waiters.push(resolve));
    }
}

const many = (n, make) => Promise.all(Array.from({ length: n }, (_, i) => make(i)));

async function main() {
    // A reader: half a body on each.
    const held = await many(300, async (i) => {
        const c = await connection(20 + Math.floor(i / 30));
        if (!c.over && await ask(c, 'GET', '/api/v1/session', reader) === 200)
            c.socket.write(`POST /api/v1/session/password HTTP/1.1\r\nHost: x\r\nCookie: ${reader}\r\n` +
                'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{');
        return c;
    });
    const admin = await connection(1);
    console.log(`writer ${await ask(admin, 'GET', '/api/v1/session', writer)}`);
    console.log(`held ${held.filter((c) => !c.over).length}`);
    held.forEach((c) => c.socket.destroy());

    const live = await many(12, async (i) => ask(await connection(40 + i), 'GET', '/api/v1/live', reader));
    console.log(`live ${live.filter((status) => status === 200).length}`);
    const watcher = await connection(1);
    console.log(`writer-live ${await ask(watcher, 'GET', '/api/v1/live', writer)}`);

    // Somebody who has logged out is a stranger among strangers, and one who has not is none.
    const left = await connection(60);
    console.log(`logout ${await ask(left, 'DELETE', '/api/v1/session', leaver, `X-CSRF-Token: ${csrf}\r\n`)}`);
    const gone = new Promise((resolve) => left.over ? resolve() : left.socket.on('close', resolve));
    const strangers = await many(300, (i) => connection(70 + Math.floor(i / 25)));
    await gone;
    console.log(`left ${left.over}`);
    console.log(`stayed ${await ask(admin, 'GET', '/api/v1/session', writer)}`);
    strangers.forEach((c) => c.socket.destroy());
    process.exit(0);
}
main();
