// admin_contract.js URL TOKEN [METHOD PATH BODY]... : asks every GET route without a parameter of a box's openapi.json, those of a session, and the given requests,
// and says which answers are not as it describes them, and which routes of it have not succeeded once. Every route of the file is asked without
// a credential first: it must be refused.
'use strict';
const https = require('https');

const [base, token, ...more] = process.argv.slice(2);
let wrong = 0, right = 0;
const succeeded = new Set();

function ask(method, path, body, credential = {}) {
    return new Promise((resolve, reject) => {
        const headers = { ...credential };
        if (body)
            headers['Content-Type'] = 'application/json';
        const request = https.request(base + path, { method, headers, rejectUnauthorized: false, agent: false }, (answer) => {
            let text = '';
            const stream = answer.headers['content-type'] === 'text/event-stream';
            answer.on('data', (piece) => {
                text += piece;
                if (stream && text.includes('\n\n'))
                    request.destroy(), resolve({ status: answer.statusCode, headers: answer.headers, text });
            });
            answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text }));
        });
        request.on('error', reject);
        request.end(body);
    });
}

// The part of JSON Schema that answers.json uses. Returns where value is wrong, or null.
function mismatch(value, schema, api, at = '') {
    if (schema.$ref)
        return mismatch(value, api.components.schemas[schema.$ref.split('/').pop()], api, at);
    const type = Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value;
    if (schema.type && !(type === schema.type || (schema.type === 'integer' && Number.isInteger(value))))
        return `${at}: is ${type}, not ${schema.type}`;
    if (schema.enum && !schema.enum.includes(value))
        return `${at}: "${value}" is none of ${schema.enum}`;
    for (const name of schema.required || [])
        if (!(name in value))
            return `${at}: has no ${name}`;
    for (const [name, one] of Object.entries(type === 'object' ? value : {})) {
        const inner = (schema.properties || {})[name];
        if (!inner && schema.additionalProperties === false)
            return `${at}: has ${name}, which is not described`;
        const found = inner && mismatch(one, inner, api, `${at}/${name}`);
        if (found)
            return found;
    }
    if (type === 'array' && schema.items)
        for (const [i, one] of value.entries()) {
            const found = mismatch(one, schema.items, api, `${at}/${i}`);
            if (found)
                return found;
        }
    return null;
}

function judge(name, problem) {
    if (problem) {
        wrong++;
        console.log(`${name}: ${problem}`);
    } else {
        right++;
    }
}

function patternOf(api, path) {
    return Object.keys(api.paths).find((p) => p === path) ||
        Object.keys(api.paths).find((p) => new RegExp(`^${p.replace(/\{[^}]*\}/g, '[^/]+')}$`).test(path));
}

// Its answer, once it is as described.
async function one(api, method, path, body, credential = { Authorization: `Bearer ${token}` }) {
    const answer = await ask(method, path, body, credential);
    const pattern = patternOf(api, path.split('?')[0]), operation = api.paths[pattern]?.[method.toLowerCase()];
    if (!operation)
        return judge(`${method} ${path}`, 'is not described');
    const [type, { schema }] = Object.entries(operation.responses['200'].content)[0];
    if (answer.status !== 200)
        return judge(`${method} ${path}`, `status ${answer.status}: ${answer.text}`);
    if (!answer.headers['content-type'].startsWith(type))
        return judge(`${method} ${path}`, `is ${answer.headers['content-type']}, not ${type}`);
    let value = answer.text;
    if (type === 'text/event-stream')
        value = JSON.parse(value.match(/^event: status\ndata: (.*)\n\n/)[1]);
    else if (type === 'application/json')
        value = JSON.parse(value);
    judge(`${method} ${path}`, mismatch(value, schema, api));
    succeeded.add(`${method} ${pattern}`);
    return { value, headers: answer.headers };
}

// What only a session can: a token has no password, and does not log out.
async function session(api) {
    const login = (password) => JSON.stringify({ user: 'contract', password });
    await one(api, 'POST', '/api/v1/users', JSON.stringify({ name: 'contract', password: 'first-of-its-kind', role: 'reader' }));
    const refused = await ask('POST', '/api/v1/session', login('not-the-first-one'));
    judge('POST /api/v1/session with a wrong password',
        refused.status === 401 ? mismatch(JSON.parse(refused.text), { $ref: 'Error' }, api) : `status ${refused.status}`);
    const begun = await one(api, 'POST', '/api/v1/session', login('first-of-its-kind'), {});
    const credential = begun && { Cookie: begun.headers['set-cookie'][0].split(';')[0], 'X-CSRF-Token': begun.value.csrf };
    await one(api, 'POST', '/api/v1/session/password', JSON.stringify({ old: 'first-of-its-kind', new: 'second-of-its-kind' }), credential);
    await one(api, 'DELETE', '/api/v1/session', null, credential);
    await one(api, 'DELETE', '/api/v1/users/contract');
}

async function main() {
    const api = JSON.parse((await ask('GET', '/api/v1/openapi.json', null, { Authorization: `Bearer ${token}` })).text);
    for (const [pattern, methods] of Object.entries(api.paths))
        for (const [method, operation] of Object.entries(methods)) {
            if (operation.security && operation.security.length === 0)
                continue; // logging in: session()
            const path = pattern.replace(/\{[^}]*\}/g, '1');
            const required = operation.requestBody && operation.requestBody.content['application/json'].schema;
            const body = required && JSON.stringify(Object.fromEntries(Object.entries(required.properties).map(([name, property]) =>
                [name, property.type === 'integer' ? 1 : property.type === 'boolean' ? true : 'x'])));
            const refused = await ask(method.toUpperCase(), path, body);
            judge(`${method} ${path} without a credential`,
                refused.status === 401 ? mismatch(JSON.parse(refused.text), { $ref: 'Error' }, api) : `status ${refused.status}`);
            if (method === 'get' && !pattern.includes('{'))
                await one(api, 'GET', path);
        }
    await session(api);
    for (let i = 0; i + 2 < more.length; i += 3)
        await one(api, more[i], more[i + 1], more[i + 2]);
    for (const [pattern, methods] of Object.entries(api.paths))
        for (const method of Object.keys(methods))
            if (!succeeded.has(`${method.toUpperCase()} ${pattern}`))
                judge(`${method.toUpperCase()} ${pattern}`, 'has not succeeded: the test is to ask it so that it does');
    console.log(`${right} as described, ${wrong} not`);
    process.exit(wrong ? 1 : 0);
}
main().catch((error) => {
    console.log(error);
    process.exit(1);
});
