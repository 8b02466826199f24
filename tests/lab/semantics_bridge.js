#!/usr/bin/env node
// A bridge for tests of HTTP's semantics: semantics_bridge.js CERT KEY listens on 443 and answers by path.
'use strict';
const fs = require('fs');
const https = require('https');

const answers = {
    // What came: fields as they came, the body's length, trailers.
    '/what': (request, response) => {
        let bytes = 0;
        request.on('data', (chunk) => { bytes += chunk.length; });
        request.on('end', () => response.end(JSON.stringify({ fields: request.headers, bytes, trailers: request.trailers })));
    },
    '/trailers': (request, response) => {
        response.writeHead(200, { trailer: 'x-sum' });
        response.write('body');
        response.addTrailers({ 'x-sum': '42' });
        response.end();
    },
    '/hints': (request, response) => {
        response.writeEarlyHints({ link: '</style.css>; rel=preload' });
        response.end('hinted');
    },
    '/too-large': (request, response) => {
        response.writeHead(413, { connection: 'close', 'content-length': 6 });
        response.end('enough');
    },
    '/slow': (request, response) => request.resume().on('end', () => setTimeout(() => response.end('slow'), 500)),
    '/204': (request, response) => response.writeHead(204).end(),
    '/304': (request, response) => response.writeHead(304, { etag: '"x"', 'content-length': 1234 }).end(),
    '/empty': (request, response) => response.writeHead(200, { 'content-length': 0 }).end(),
    '/head': (request, response) => response.writeHead(200, { 'content-length': 1234 }).end(request.method === 'HEAD' ? undefined : 'x'.repeat(1234)),
    '/hop': (request, response) => {
        response.writeHead(200, { connection: 'x-secret, keep-alive', 'x-secret': '1', 'proxy-authenticate': 'Basic', 'alt-svc': 'h3=":443"',
            'keep-alive': 'timeout=5', 'x-kept': '1' });
        response.end('hop');
    },
};

const server = https.createServer({ cert: fs.readFileSync(process.argv[2]), key: fs.readFileSync(process.argv[3]) },
    (request, response) => (answers[request.url] || ((_, it) => it.writeHead(404).end()))(request, response));
server.listen(443);
